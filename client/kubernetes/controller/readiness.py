"""Whether a clone runs, and if not, what it waits for. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from relay.kubernetes import READY, STARTING

Object = Mapping[str, Any]
MAX_MESSAGE = 500
"""Characters of one fork's message: registries answer with whole pages."""
MAX_MESSAGES = 2000
"""Of all forks together."""
OTHER_REASON = "NotStarted"
_REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")
PULLING = ("ErrImagePull", "ImagePullBackOff")
"""What a container waits for in turns whose image cannot be pulled."""
CRASHING = "CrashLoopBackOff"
"""What a container waits for now and then that ends whenever it is started."""
PATIENT = frozenset({"ContainerCreating", "PodInitializing"})
"""What pods wait for while all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How it stands with one fork."""

    reason: str
    """`Ready`, `Starting`, or what is wrong."""
    message: str

    @property
    def ready(self) -> bool:
        """Whether it runs what is asked for."""
        return self.reason == READY


RUNS = State(reason=READY, message="it runs")


def state_of(clone: Object, pods: Iterable[Object]) -> State:
    """How it stands with a clone whose Deployment was applied as it should be."""
    status = clone.get("status") or {}
    wanted = clone["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    # As `kubectl rollout status` has it: all pods are new ones, none of the old ones is left, all can be used. Of none
    # that is true as well.
    if (
        wanted
        and status.get("observedGeneration", 0) >= clone["metadata"].get("generation", 0)
        and counts == [wanted] * 3
    ):
        return RUNS
    for condition in status.get("conditions") or ():
        kind, is_met = condition["type"], condition["status"] == "True"
        if (kind == "ReplicaFailure" and is_met) or (kind == "Progressing" and not is_met):
            deeper = _pods_state(pods)
            return deeper or _state(condition.get("reason", ""), condition.get("message", ""))
    return _pods_state(pods) or State(reason=STARTING, message="its pod is starting")


def condition_of(states: Sequence[tuple[str, State]]) -> State:
    """All forks together: what is wrong comes before what time takes care of."""
    problems = [(what, state) for what, state in states if not state.ready]
    problems.sort(key=lambda problem: problem[1].reason == STARTING)  # stable: otherwise in their order
    if not problems:
        return State(reason=READY, message=f"{len(states)} forked" if states else "nothing is forked")
    message = "; ".join(f"{what}: {state.message}" for what, state in problems)
    return State(reason=problems[0][1].reason, message=message[:MAX_MESSAGES])


def _pods_state(pods: Iterable[Object]) -> State | None:
    """What is wrong with a pod; of several the newest counts, which runs the newest specification."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        status = pod.get("status") or {}
        first, others = (status.get(name) or () for name in ("initContainerStatuses", "containerStatuses"))
        tried = all(container.get("ready") for container in others)
        for container, is_tried in (*((item, False) for item in first), *((item, tried) for item in others)):
            if (found := _container_state(container, is_tried=is_tried)) is not None:
                return found
        for condition in status.get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return _state(condition.get("reason", ""), condition.get("message", ""))
    return None


def _container_state(container: Object, *, is_tried: bool) -> State | None:
    """What is wrong with a container.

    `is_tried`: all containers are ready, and yet the pod is of no use; one without a probe is ready whenever it runs.

    Pulling and crashing go to and fro between states, each with words that change: what is said of them stays the
    same, as every change is a write in the cluster, one in the relay's database, and a commit status.
    """
    states = [container.get(name) or {} for name in ("state", "lastState")]
    waiting = states[0].get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in PULLING:
        return _state(PULLING[-1], f"the image {container.get('image', '')} cannot be pulled")
    ended = next((found for state in states if (found := state.get("terminated"))), None)
    if reason == CRASHING or (ended and container.get("restartCount", 0) and (is_tried or not container.get("ready"))):
        code = (ended or {}).get("exitCode", "unknown")
        return _state(CRASHING, f"the container {container.get('name', '')} ends, with exit code {code}")
    if not reason or reason in PATIENT:
        return None
    return _state(reason, f"{reason}: {waiting.get('message') or container.get('name', '')}")


def _state(reason: str, message: str) -> State:
    word = reason if _REASON.fullmatch(reason) else OTHER_REASON
    return State(reason=word, message=message[:MAX_MESSAGE] or word)
