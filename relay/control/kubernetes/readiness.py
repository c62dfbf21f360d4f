"""What a Workspace object says of its clones. Pure.

Whoever may write to the cluster may have written it: each value is taken only if it is what it should be.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from relay.control.kubernetes.names import LABEL, NAME, matches
from relay.kubernetes import READY, WAITING
from relay.store import Clone, Fork, InCluster

MAX_MESSAGE = 1000
"""Characters; a page is no place for more."""
MAX_CLONES = 128
"""As in the object's definition."""
UNKNOWN = "Unknown"

_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def state_of(there: Mapping[str, Any], *, revision: int) -> InCluster | None:
    """What an object says whose specification is that of a workspace's revision; None while it says nothing of it."""
    status = there.get("status")
    if not isinstance(status, dict) or status.get("observedGeneration") != there["metadata"].get("generation"):
        return None
    conditions = [item for item in _items(status.get("conditions")) if item.get("type") == READY]
    if not conditions:
        return None
    reason, ready = conditions[0].get("reason"), conditions[0].get("status") == "True"
    if not isinstance(reason, str) or _REASON.fullmatch(reason) is None:
        reason = UNKNOWN
    return InCluster(
        revision=revision,
        ready=ready,
        waiting=reason in WAITING and not ready,
        reason=reason,
        message=_line(conditions[0].get("message")),
        clones=tuple(_clones(status.get("forks"))),
    )


def problem(reason: str, message: str, *, revision: int) -> InCluster:
    """What is said of a workspace whose object cannot be written."""
    return InCluster(revision=revision, ready=False, reason=reason, message=_line(message))


def _clones(forks: Any) -> Iterable[Clone]:
    for fork in _items(forks)[:MAX_CLONES]:
        namespace, deployment, service = fork.get("namespace"), fork.get("deployment"), fork.get("service", "")
        if matches(namespace, LABEL) and matches(deployment, NAME) and (service == "" or matches(service, LABEL)):
            yield Clone(fork=Fork(namespace=namespace, deployment=deployment), service=service)


def _items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _line(value: Any) -> str:
    """One line of printable text: it is shown in terminals, too."""
    text = value if isinstance(value, str) else ""
    return "".join(character if character.isprintable() else " " for character in text[:MAX_MESSAGE])
