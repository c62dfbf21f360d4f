"""What is said of clones."""

from typing import Any

import pytest

from client.kubernetes.controller.readiness import State, condition_of, state_of


def clone(*, generation: int = 2, observed: int = 2, conditions: Any = (), **counts: int) -> dict[str, Any]:
    full = {"updatedReplicas": 1, "replicas": 1, "availableReplicas": 1} | counts
    status = full | {"observedGeneration": observed, "conditions": list(conditions)}
    return {"metadata": {"generation": generation}, "spec": {"replicas": 1}, "status": status}


def pod(reason: str = "", message: str = "", *, at: str = "2026-01-01T00:00:00Z", **more: Any) -> dict[str, Any]:
    waiting = {"state": {"waiting": {"reason": reason, "message": message}}} if reason else {"state": {"running": {}}}
    return {
        "metadata": {"creationTimestamp": at} | more,
        "status": {"containerStatuses": [waiting | {"name": "web"}]},
    }


LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
QUOTA = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}


@pytest.mark.parametrize(
    ("deployment", "pods", "reason"),
    [
        (clone(), [], "Ready"),
        (clone(observed=1), [], "Starting"),
        (clone(replicas=2), [], "Starting"),
        (clone(availableReplicas=0), [pod()], "Starting"),
        (clone(availableReplicas=0), [pod("ContainerCreating")], "Starting"),
        (clone(availableReplicas=0), [pod("ErrImagePull", "no such tag")], "ImagePullBackOff"),
        (clone(availableReplicas=0), [pod("CrashLoopBackOff")], "CrashLoopBackOff"),
        (clone(availableReplicas=0), [pod("CreateContainerConfigError")], "CreateContainerConfigError"),
        (clone(updatedReplicas=0, conditions=[LATE]), [], "ProgressDeadlineExceeded"),
        (clone(updatedReplicas=0, conditions=[LATE]), [pod("ImagePullBackOff")], "ImagePullBackOff"),
        (clone(updatedReplicas=0, conditions=[QUOTA]), [], "FailedCreate"),
        (clone(availableReplicas=0), [pod("not a word!")], "NotStarted"),
        (clone(availableReplicas=0), [pod("ErrImagePull", deletionTimestamp="now")], "Starting"),
        (
            clone(replicas=2),
            [pod("ErrImagePull"), pod("CrashLoopBackOff", at="2026-01-02T00:00:00Z")],
            "CrashLoopBackOff",
        ),
    ],
)
def test_the_reason_is_what_somebody_has_to_know(deployment: dict[str, Any], pods: list[Any], reason: str) -> None:
    assert state_of(deployment, pods).reason == reason


def test_what_goes_to_and_fro_is_said_once() -> None:
    pulls = [pod("ErrImagePull", "manifest unknown"), pod("ImagePullBackOff", 'Back-off pulling image "acme/web:2"')]
    assert len({state_of(clone(availableReplicas=0), [found]) for found in pulls}) == 1
    ended = {"terminated": {"exitCode": 3}}
    crashes: list[dict[str, Any]] = [
        {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}, "lastState": ended},
        {"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 20s"}}, "lastState": ended},
        {"state": {"running": {}}, "lastState": ended},
        {"state": ended, "lastState": ended},
        {"state": {"running": {}}, "lastState": ended, "ready": True},
    ]
    said = set()
    for crash in crashes:
        status = {"containerStatuses": [{"ready": False} | crash | {"name": "web", "restartCount": 1}]}
        said.add(state_of(clone(availableReplicas=0), [{"metadata": {}, "status": status}]))
    assert said == {State(reason="CrashLoopBackOff", message="the container web ends, with exit code 3")}


def test_a_container_that_came_back_is_not_blamed_for_one_that_starts() -> None:
    ended = {"terminated": {"exitCode": 3}}
    back = {"name": "mesh", "state": {"running": {}}, "lastState": ended, "restartCount": 1, "ready": True}
    done = {"name": "init", "state": ended, "restartCount": 1, "ready": True}
    main = {"name": "web", "state": {"running": {}}, "ready": False}
    status = {"initContainerStatuses": [done], "containerStatuses": [back, main]}
    assert state_of(clone(availableReplicas=0), [{"metadata": {}, "status": status}]).reason == "Starting"


def test_a_clone_of_no_pods_is_not_ready() -> None:
    idle = clone(updatedReplicas=0, replicas=0, availableReplicas=0)
    idle["spec"]["replicas"] = 0
    assert not state_of(idle, []).ready


def test_a_pod_that_fits_nowhere_is_said() -> None:
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    pending = {"metadata": {}, "status": {"conditions": [unschedulable]}}
    assert state_of(clone(availableReplicas=0), [pending]) == State(reason="Unschedulable", message="0/3 nodes")


def test_what_is_wrong_comes_before_what_time_takes_care_of() -> None:
    starting, broken = State(reason="Starting", message="starts"), State(reason="ErrImagePull", message="no")
    both = condition_of([("shop/a", starting), ("shop/b", broken)])
    assert (both.reason, both.message) == ("ErrImagePull", "shop/b: no; shop/a: starts")


def test_messages_are_cut() -> None:
    told = state_of(clone(availableReplicas=0), [pod("CreateContainerError", "x" * 10_000)])
    assert len(told.message) == 500
    assert len(condition_of([(f"shop/{number}", told) for number in range(128)]).message) == 2000
