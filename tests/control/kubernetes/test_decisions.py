"""What is done about one Workspace object, and what is believed of it."""

from typing import Any

import pytest

from relay.control.kubernetes.decisions import Step, decide, replacement
from relay.control.kubernetes.readiness import state_of
from relay.store import Clone, Fork, InCluster

WANTED: dict[str, Any] = {"metadata": {"labels": {"signadot.com/org-id": "o1"}}, "spec": {"name": "pr-1"}}
OURS: dict[str, Any] = {
    "metadata": {
        "labels": {"signadot.com/org-id": "o1", "team": "shop"},
        "finalizers": ["signadot.com/clones"],
        "resourceVersion": "7",
        "generation": 2,
    },
    "spec": {"name": "pr-1"},
}
ENDING = OURS | {"metadata": OURS["metadata"] | {"deletionTimestamp": "now"}}
THEIRS = OURS | {"metadata": {"labels": {"signadot.com/org-id": "o2"}}}
OTHER = OURS | {"spec": {"name": "pr-1", "images": []}}
UNLABELLED = OURS | {"metadata": {}}


@pytest.mark.parametrize(
    ("there", "wanted", "step"),
    [
        (None, None, Step.NONE),
        (None, WANTED, Step.CREATE),
        (OURS, WANTED, Step.NONE),
        (OURS, None, Step.DELETE),
        (OTHER, WANTED, Step.REPLACE),
        (ENDING, WANTED, Step.NONE),
        (ENDING, None, Step.NONE),
        (THEIRS, WANTED, Step.NONE),
        (THEIRS, None, Step.NONE),
        (UNLABELLED, None, Step.NONE),
    ],
)
def test_the_table_holds(there: Any, wanted: Any, step: Step) -> None:
    assert decide(there, wanted, org_id="o1") is step


def test_a_replacement_keeps_what_is_not_the_relays() -> None:
    made = replacement(OTHER, WANTED)
    assert made["spec"] == WANTED["spec"]
    assert made["metadata"] == OURS["metadata"]


def said(*, generation: Any = 2, forks: Any = (), conditions: Any = None, **condition: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "m"} | condition
    status = {
        "observedGeneration": generation,
        "conditions": [ready] if conditions is None else conditions,
        "forks": list(forks) if isinstance(forks, tuple) else forks,
    }
    return OURS | {"status": status}


FORK = {"namespace": "shop", "deployment": "web", "service": "pr-1-web"}
CLONE = Clone(fork=Fork(namespace="shop", deployment="web"), service="pr-1-web")


def test_the_condition_is_what_is_noted() -> None:
    assert state_of(said(forks=(FORK,)), revision=5) == InCluster(
        revision=5, ready=True, reason="Ready", message="m", clones=(CLONE,)
    )
    waiting = state_of(said(status="False", reason="Starting"), revision=5)
    assert waiting is not None
    assert (waiting.ready, waiting.waiting) == (False, True)


@pytest.mark.parametrize(
    "there",
    [
        OURS,
        OURS | {"status": None},
        OURS | {"status": []},
        said(generation=1),
        said(generation=None),
        said(conditions=[]),
        said(conditions={}),
        said(conditions=["Ready"]),
        said(type="Other"),
    ],
)
def test_what_is_about_another_specification_or_nothing_is_not_noted(there: dict[str, Any]) -> None:
    assert state_of(there, revision=5) is None


@pytest.mark.parametrize(
    "fork",
    [
        1,
        {},
        FORK | {"namespace": "shop/../kube-system"},
        FORK | {"namespace": 1},
        FORK | {"deployment": "../web"},
        FORK | {"service": "web.kube-system"},
        FORK | {"service": "web\n"},
        FORK | {"service": None},
    ],
)
def test_forks_that_name_no_service_are_left_out(fork: Any) -> None:
    found = state_of(said(forks=(fork, FORK)), revision=5)
    assert found is not None
    assert found.clones == (CLONE,)


def test_texts_are_one_printable_line_and_reasons_one_word() -> None:
    found = state_of(said(reason="two words", message="a\x1b[31m\nb" + "x" * 5000), revision=5)
    assert found is not None
    assert found.reason == "Unknown"
    assert found.message.startswith("a [31m b")
    assert len(found.message) == 1000
    strange = state_of(said(reason=["x"], message={"a": 1}, forks={"a": 1}), revision=5)
    assert strange is not None
    assert (strange.reason, strange.message, strange.clones) == ("Unknown", "", ())
