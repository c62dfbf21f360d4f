"""A deployment with a GitHub App, and a cluster whose pods answer with what they run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from client.kubernetes.settings import InCluster
from tests.support import agent_in_cluster
from tests.support.deployment import Deployment
from tests.support.fake_kubernetes import FakeKubernetes
from tests.support.processes import Running
from tests.support.rights import agent_token

OWN, SHOP = "signadot", "shop"
BASELINE, CLONE = "127.0.0.1", "127.0.0.2"
"""Addresses of the pods of baselines, and of those of clones."""
DEFINITION = Path("deploy/crds/workspaces.signadot.com.yaml")


class _Pod(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"clone" if self.connection.getsockname()[0] == CLONE else b"baseline"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


class Cluster:
    """The cluster, with the Deployment `web` of the image acme/web and its Service."""

    def __init__(self, folder: Path, port: int, *, pod_logs: bool = False) -> None:
        folder.mkdir()
        self.fake = fake = FakeKubernetes(folder)
        self.port = port
        """Of the pods, of `web` and of its clones."""
        fake.place_pods(lambda pod: CLONE if "signadot.com/clone" in pod["metadata"]["labels"] else BASELINE)
        for name in (OWN, SHOP):
            fake.add_namespace(name)
        fake.create_all(DEFINITION)
        fake.add_deployment("web", SHOP, image="acme/web:1", port=port)
        self.account = fake.write_service_account_files(folder / "account", OWN, agent_token(fake, pod_logs=pod_logs))
        admin = folder / "admin-token"
        admin.write_text(fake.admin_token)
        self._node = InCluster(host="127.0.0.1", port=fake.port, token_file=admin, ca_file=fake.ca_file, namespace=OWN)

    def start_agent(self, relay: Deployment, token: str, *extra: str) -> Running:
        """An agent in a pod, with previews; comes back once its tunnel is up."""
        return relay.start_agent(
            *("--allow-target", "*.*.svc:*", "--previews", *extra),
            *("--kubernetes-api", self.fake.url, "--kubernetes-namespace", OWN),
            *("--kubernetes-token-file", str(self.account / "token")),
            *("--kubernetes-ca-file", str(self.account / "ca.crt")),
            token=token,
            environment=agent_in_cluster.environment(self._node),
            module="tests.support.agent_in_cluster",
        )

    def clones(self, kind: str, workspace: str) -> list[dict[str, Any]]:
        return self.fake.list(kind, labels=f"signadot.com/workspace={workspace}")

    def wait_until_gone(self, workspace: str) -> None:
        """Waits until nothing of a workspace is left."""
        kinds = ("Workspace", "Deployment", "ReplicaSet", "Pod", "Service")
        self.wait(lambda: not any(self.clones(kind, workspace) for kind in kinds), f"{workspace} to be gone")

    def wait(self, check: Callable[[], Any], what: str) -> None:
        self.fake.wait_for(check, what, seconds=60.0)


@contextmanager
def running_cluster(folder: Path, *, pod_logs: bool = False) -> Iterator[Cluster]:
    """A cluster, with servers where its pods are; `pod_logs`: whether its agents have the right to read logs."""
    with ExitStack() as stack:
        first = stack.enter_context(ThreadingHTTPServer((BASELINE, 0), _Pod))
        second = stack.enter_context(ThreadingHTTPServer((CLONE, first.server_port), _Pod))
        for server in (first, second):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
        cluster = Cluster(folder / "cluster", first.server_port, pod_logs=pod_logs)
        with cluster.fake:
            yield cluster
