"""What to do about one Workspace object. Pure.

| in the cluster | in the database | step |
|---|---|---|
| nothing | nothing | none |
| nothing | a workspace | create |
| ours | nothing, or a workspace of another cluster | delete |
| ours, as it should be | a workspace | none: what it says is noted |
| ours, otherwise | a workspace | replace |
| ours, being deleted | anything | none: when it is gone, it is looked at again |
| somebody else's | anything | none: nothing of it is touched |
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from relay.kubernetes import ORG_ID_LABEL

Object = Mapping[str, Any]


class Step(Enum):
    """What to do."""

    NONE = auto()
    CREATE = auto()
    REPLACE = auto()
    DELETE = auto()


def is_of(there: Object, org_id: str) -> bool:
    """Whether an object is one that the relay wrote for this org."""
    return bool((there["metadata"].get("labels") or {}).get(ORG_ID_LABEL) == org_id)


def is_as_wanted(there: Object, wanted: Object) -> bool:
    """Whether an object asks for what it should; labels of others may be there too."""
    labels = there["metadata"].get("labels") or {}
    return bool(there.get("spec") == wanted["spec"] and wanted["metadata"]["labels"].items() <= labels.items())


def decide(there: Object | None, wanted: Object | None, *, org_id: str) -> Step:
    """The step for what is there and what is wanted; None where there is nothing."""
    if there is None:
        return Step.NONE if wanted is None else Step.CREATE
    if not is_of(there, org_id) or "deletionTimestamp" in there["metadata"]:
        return Step.NONE
    if wanted is None:
        return Step.DELETE
    return Step.NONE if is_as_wanted(there, wanted) else Step.REPLACE


def replacement(there: Object, wanted: Object) -> dict[str, Any]:
    """What is there, brought to what is wanted: finalizers and labels of others stay, and so does the version."""
    metadata = dict(there["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), **wanted["metadata"]["labels"]}
    return {**there, "metadata": metadata, "spec": wanted["spec"]}
