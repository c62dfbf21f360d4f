"""Pods are scheduled, get an address, run, become ready, and end: as tests say."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.fake_kubernetes.kinds import PODS, SERVICES
from tests.support.fake_kubernetes.logs import Logs
from tests.support.fake_kubernetes.registry import Registry
from tests.support.fake_kubernetes.values import condition, with_times
from tests.support.fake_kubernetes.wire import Object

NODE = "node-1"
NODE_ADDRESS = "10.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with containers of an image."""

    reason: str
    message: str


@dataclass(slots=True)
class Kubelet:
    """The one node of the cluster, with its scheduler and its network."""

    registry: Registry
    logs: Logs
    address_of: Callable[[Object], str | None] = lambda _pod: None
    """The address of a pod; None draws one of 10.244.0.0/16, where nothing listens."""
    faults: dict[str, Fault] = field(default_factory=dict)
    """By a regular expression that an image matches as a whole."""
    unready: dict[str, Callable[[Object], bool]] = field(default_factory=dict)
    """By a name: pods that run and do not become ready."""
    lingering: bool = False
    """Whether pods that are deleted stay in their grace period."""
    restarts: dict[tuple[str, str], int] = field(default_factory=dict)
    """By uid of the pod and container."""
    _last_pod: int = 1
    _last_service: int = 1

    def run(self) -> None:
        """Brings all pods one step on."""
        for service in self.registry.store.all(SERVICES):
            if "clusterIP" not in service["spec"] and service["spec"]["type"] != "ExternalName":
                self._give_address(service)
        for pod in self.registry.store.all(PODS):
            if "deletionTimestamp" in pod["metadata"]:
                self._end(pod)
            elif not pod["spec"].get("nodeName"):
                self._schedule(pod)
            elif pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}:
                self._bring_up(pod)

    def _give_address(self, service: Object) -> None:
        self._last_service += 1
        address = f"10.96.{self._last_service // 250}.{self._last_service % 250 + 1}"
        given = {"clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
        self.registry.put(SERVICES, service | {"spec": service["spec"] | given})

    def _end(self, pod: Object) -> None:
        if self.lingering and pod["metadata"].get("deletionGracePeriodSeconds"):
            return
        self.logs.end(pod["metadata"]["uid"])
        if not pod["metadata"].get("finalizers"):
            self.registry.remove(PODS, pod)

    def _schedule(self, pod: Object) -> None:
        self.registry.put(PODS, pod | {"spec": pod["spec"] | {"nodeName": NODE}})

    def _bring_up(self, pod: Object) -> None:
        address = pod["status"].get("podIP") or self.address_of(pod) or self._draw_address()
        statuses = [self._container_status(pod, container) for container in pod["spec"]["containers"]]
        running = all("running" in item["state"] for item in statuses)
        ready = running and all(item["ready"] for item in statuses)
        blocked = [item["name"] for item in statuses if not item["ready"]]
        not_ready = ("ContainersNotReady", f"containers with unready status: [{' '.join(blocked)}]")
        told = [
            condition("PodScheduled"),
            condition("Initialized"),
            condition("ContainersReady") if ready else condition("ContainersReady", *not_ready, met=False),
            condition("Ready") if ready else condition("Ready", *not_ready, met=False),
        ]
        known = pod["status"].get("conditions") or ()
        others = [item for item in known if item["type"] not in {one["type"] for one in told}]
        status = pod["status"] | {
            "phase": "Running" if running or self._was_running(pod) else "Pending",
            "conditions": with_times(told, known, self.registry.time()) + others,
            "containerStatuses": statuses,
            "hostIP": NODE_ADDRESS,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": pod["status"].get("startTime") or self.registry.time(),
        }
        if status != pod["status"]:
            self.registry.put(PODS, pod | {"status": status})

    def _draw_address(self) -> str:
        self._last_pod += 1
        return f"10.244.{self._last_pod // 250}.{self._last_pod % 250 + 1}"

    def _was_running(self, pod: Object) -> bool:
        return bool(pod["status"].get("phase") == "Running")

    def _container_status(self, pod: Object, container: Object) -> Object:
        known = {item["name"]: item for item in pod["status"].get("containerStatuses") or ()}
        before = known.get(container["name"], {})
        name, image = container["name"], container["image"]
        restarts = self.restarts.get((pod["metadata"]["uid"], name), 0)
        told = {"name": name, "image": image, "imageID": "", "restartCount": restarts}
        fault = next((item for pattern, item in self.faults.items() if re.fullmatch(pattern, image)), None)
        if fault is not None:
            waiting = {"reason": fault.reason, "message": fault.message}
            return told | {"ready": False, "started": False, "state": {"waiting": waiting}, "lastState": {}}
        held = any(test(pod) for test in self.unready.values())
        started = before.get("state", {}).get("running", {}).get("startedAt") or self.registry.time()
        return told | {
            "imageID": f"{image.partition('@')[0]}@sha256:{'0' * 64}",
            "containerID": f"containerd://{pod['metadata']['uid']}-{name}",
            "ready": not held,
            "started": True,
            "state": {"running": {"startedAt": started}},
            "lastState": {},
        }
