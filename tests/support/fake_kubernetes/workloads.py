"""What happens to pods, as a test says, and what their containers write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.fake_kubernetes.cluster import DEFAULT, Cluster
from tests.support.fake_kubernetes.kinds import DEPLOYMENTS, PODS
from tests.support.fake_kubernetes.kubelet import Fault
from tests.support.fake_kubernetes.selectors import label_object, label_query
from tests.support.fake_kubernetes.wire import Object


class Workloads(Cluster):
    """Pods run and are ready as soon as they are made, unless one of these says otherwise."""

    def add_deployment(
        self, name: str, namespace: str = DEFAULT, *, image: str = "", replicas: int = 1, port: int = 80
    ) -> Object:
        """A deployment of one container, `NAME`, and a service before it, both of the label `app: NAME`."""
        labels = {"app": name}
        container = {"name": name, "image": image or f"acme/{name}:1", "ports": [{"containerPort": port}]}
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
        service = {"selector": labels, "ports": [{"name": "http", "port": port}]}
        self.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
        return self.get("Deployment", name, namespace)

    def pods_of(self, deployment: str, namespace: str = DEFAULT) -> list[Object]:
        """The pods that a deployment selects."""
        matches = label_object(self.get("Deployment", deployment, namespace)["spec"]["selector"])
        return [pod for pod in self.list("Pod", namespace) if matches(pod)]

    def break_image(
        self, image: str, reason: str = "ImagePullBackOff", message: str = "Back-off pulling image"
    ) -> None:
        """Containers whose image matches the regular expression as a whole wait for ever, with that reason."""
        with self._writing():
            self.kubelet.faults[image] = Fault(reason=reason, message=message)

    def mend_image(self, image: str) -> None:
        """They start."""
        with self._writing():
            self.kubelet.faults.pop(image, None)

    def hold_readiness(self, labels: str = "", *, namespace: str | None = None) -> None:
        """Pods that a label selector has run, and are not ready."""
        matches = label_query(labels)

        def held(pod: Object) -> bool:
            return matches(pod) and namespace in {None, pod["metadata"]["namespace"]}

        with self._writing():
            self.kubelet.unready[labels] = held

    def release_readiness(self, labels: str = "") -> None:
        """They become ready."""
        with self._writing():
            self.kubelet.unready.pop(labels, None)

    def pass_progress_deadline(self, deployment: str, namespace: str = DEFAULT) -> None:
        """A deployment that is not complete has taken too long: its condition Progressing says so."""
        with self._writing():
            found = self.registry.require(DEPLOYMENTS, namespace, deployment)
            self.controllers.deployments.overdue.add(found["metadata"]["uid"])

    def place_pods(self, address_of: Callable[[Object], str | None]) -> None:
        """Pods that start from now on have the address that a function gives them; None draws one."""
        with self._writing():
            self.kubelet.address_of = address_of

    def crash(self, pod: str, container: str, namespace: str = DEFAULT) -> None:
        """A container ends and is started again; those who follow its log are done."""
        with self._writing():
            found = self.registry.require(PODS, namespace, pod)
            key = (found["metadata"]["uid"], container)
            self.kubelet.restarts[key] = self.kubelet.restarts.get(key, 0) + 1
            self.logs.end(*key)
            self.logs.begin(found, container)

    @contextmanager
    def lingering_pods(self) -> Iterator[None]:
        """Pods that are deleted stay in their grace period until the end of the block."""
        with self._writing():
            self.kubelet.lingering = True
        try:
            yield
        finally:
            with self._writing():
                self.kubelet.lingering = False

    @contextmanager
    def paused_controllers(self) -> Iterator[None]:
        """Nothing but clients writes until the end of the block."""
        self.controllers.paused = True
        try:
            yield
        finally:
            with self._writing():
                self.controllers.paused = False

    def log(
        self,
        pod: str,
        *lines: str | bytes,
        namespace: str = DEFAULT,
        container: str | None = None,
        at: float | None = None,
    ) -> None:
        """A container writes lines, the first one of the pod unless it is named; `at` is their time, now by default."""
        found = self.get("Pod", pod, namespace)
        name = container or found["spec"]["containers"][0]["name"]
        self.logs.append(found, name, *lines, at=at)
