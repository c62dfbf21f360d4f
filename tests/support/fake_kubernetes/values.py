"""Small things that every object has."""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from tests.support.fake_kubernetes.kinds import Kind
from tests.support.fake_kubernetes.wire import Object

# Without vowels and look-alikes, as Kubernetes draws its suffixes: no words come out.
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LETTERS = 5
GENERATED_NAME_LETTERS = 58
"""What is left of a prefix, so that with its suffix it is a label."""


def suffix(letters: int = SUFFIX_LETTERS) -> str:
    """The random end of a generated name."""
    return "".join(secrets.choice(_LETTERS) for _ in range(letters))


def generated(prefix: str) -> str:
    """A name from generateName."""
    return prefix[:GENERATED_NAME_LETTERS] + suffix()


def new_uid() -> str:
    """A uid."""
    return str(uuid.uuid4())


def timestamp(now: float) -> str:
    """Seconds since the epoch as metav1.Time writes them."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nano_timestamp(now: float) -> str:
    """The same with nine digits, as logs have them."""
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def seconds_of(text: str) -> float:
    """A time of RFC 3339 as seconds since the epoch. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


def with_metadata(value: Object, **fields: Any) -> Object:
    """The object with other metadata; None takes a field away."""
    metadata = {key: item for key, item in (value["metadata"] | fields).items() if item is not None}
    return value | {"metadata": metadata}


def owner_reference(kind: Kind, owner: Object) -> Object:
    """What a controller writes into what it makes."""
    metadata = owner["metadata"]
    names = {"apiVersion": kind.api_version, "kind": kind.name, "name": metadata["name"], "uid": metadata["uid"]}
    return names | {"controller": True, "blockOwnerDeletion": True}


def owned_by(value: Object, owner: Object) -> bool:
    """Whether an object names another as its controller."""
    uid = owner["metadata"]["uid"]
    references = value["metadata"].get("ownerReferences") or ()
    return any(item["uid"] == uid and item.get("controller") for item in references)


def condition(kind: str, reason: str = "", message: str = "", *, met: bool = True) -> Object:
    """A condition, its times left out, and what says nothing too."""
    told = {"type": kind, "status": "True" if met else "False", "reason": reason, "message": message}
    return {name: item for name, item in told.items() if item}


def with_times(new: Iterable[Object], old: Iterable[Object], now: str) -> list[Object]:
    """Conditions with lastTransitionTime: it moves only where the status does."""
    before: Mapping[str, Object] = {item["type"]: item for item in old}
    timed = []
    for item in new:
        known = before.get(item["type"])
        same = known is not None and known["status"] == item["status"]
        timed.append(item | {"lastTransitionTime": known["lastTransitionTime"] if same and known else now})
    return timed
