"""A Kubernetes for tests: its API over HTTPS, and enough of what runs beside it that deployments become ready.

    with FakeKubernetes(tmp_path) as fake:
        token = fake.service_account("signadot", "agent", rules=[...])   # a bearer token; RBAC is real
        fake.add_deployment("web", replicas=2)                           # pods run, the service has an EndpointSlice
        pod = fake.pods_of("web")[0]["metadata"]["name"]
        fake.log(pod, "hello")                                           # followers of its log get the line
        fake.break_image(r"acme/web:broken")                             # pods of it wait, with ImagePullBackOff
        fake.create_all(Path("deploy/crds/workspaces.signadot.com.yaml"))
        fake.troubles.error(429, retry_after=1, path="/deployments")     # the next such request fails
        fake.forget_history()                                            # watches that come back are answered 410
        assert fake.calls(verb="watch", path="/pods")

The controllers run right after each write, before the next request: there is nothing to wait for. `url`, `ca_file`,
`kubeconfig()` and `write_service_account_files()` say how to connect.
"""

from tests.support.fake_kubernetes.fake import EVERYTHING, FakeKubernetes
from tests.support.fake_kubernetes.gateway import Call
from tests.support.fake_kubernetes.wire import Object, Refusal, Reply

__all__ = ["EVERYTHING", "Call", "FakeKubernetes", "Object", "Refusal", "Reply"]
