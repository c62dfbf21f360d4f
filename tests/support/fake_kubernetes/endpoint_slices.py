"""Services with a selector get an EndpointSlice of the pods behind them."""

from dataclasses import dataclass
from typing import Any

from tests.support.fake_kubernetes.kinds import ENDPOINT_SLICES, PODS, SERVICES
from tests.support.fake_kubernetes.registry import Registry
from tests.support.fake_kubernetes.selectors import label_object
from tests.support.fake_kubernetes.values import owner_reference, suffix, with_metadata
from tests.support.fake_kubernetes.wire import Object

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"


@dataclass(slots=True)
class EndpointSlices:
    """The controller of that name."""

    registry: Registry

    def run(self) -> None:
        """Brings all slices up to date."""
        for service in self.registry.store.all(SERVICES):
            selected = service["spec"].get("selector")
            if selected and "deletionTimestamp" not in service["metadata"]:
                self._write(service, selected)

    def _write(self, service: Object, selector: Object) -> None:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        matches = label_object({"matchLabels": selector})
        pods = [pod for pod in self.registry.store.all(PODS, namespace) if matches(pod) and _address(pod)]
        content = {
            "addressType": "IPv4",
            "endpoints": [_endpoint(pod, service) for pod in pods],
            "ports": [_port(port, pods) for port in service["spec"].get("ports") or ()],
        }
        known = self._known(namespace, name)
        if known is None:
            labels = {SERVICE_LABEL: name, MANAGED_BY: CONTROLLER}
            metadata: dict[str, Any] = {"name": f"{name}-{suffix()}", "generateName": f"{name}-", "labels": labels}
            metadata["ownerReferences"] = [owner_reference(SERVICES, service)]
            self.registry.create(ENDPOINT_SLICES, namespace, {"metadata": metadata, **content})
        elif known | content != known:
            counted = with_metadata(known, generation=known["metadata"]["generation"] + 1)
            self.registry.put(ENDPOINT_SLICES, counted | content)

    def _known(self, namespace: str, service: str) -> Object | None:
        wanted = {SERVICE_LABEL: service, MANAGED_BY: CONTROLLER}
        found = self.registry.store.all(ENDPOINT_SLICES, namespace)
        return next((item for item in found if wanted.items() <= (item["metadata"].get("labels") or {}).items()), None)


def _address(pod: Object) -> str:
    done = pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}
    return "" if done else pod.get("status", {}).get("podIP", "")


def _endpoint(pod: Object, service: Object) -> Object:
    metadata = pod["metadata"]
    conditions = pod["status"].get("conditions") or ()
    serving = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    ending = "deletionTimestamp" in metadata
    ready = (serving and not ending) or bool(service["spec"].get("publishNotReadyAddresses"))
    target = {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "addresses": [_address(pod)],
        "conditions": {"ready": ready, "serving": serving, "terminating": ending},
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": target,
    }


def _port(port: Object, pods: list[Object]) -> Object:
    """The port of the pods; one that is named is looked up in the first that has it."""
    target = port["targetPort"]
    if isinstance(target, str):
        named = (
            item["containerPort"]
            for pod in pods
            for container in pod["spec"]["containers"]
            for item in container.get("ports") or ()
            if item.get("name") == target
        )
        target = next(named, None)
    return {"name": port.get("name", ""), "protocol": port["protocol"], "port": target}
