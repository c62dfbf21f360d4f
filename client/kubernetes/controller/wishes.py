"""Workspace objects as values: what a relay asks for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.kubernetes import ORG_LABEL

FINALIZER = "signadot.com/clones"
"""Holds a Workspace until its clones are gone. Clones may live in other namespaces than their Workspace, where an owner
reference would have the garbage collector delete them at once."""

Place = tuple[str, str]
"""Namespace and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One Workspace object."""

    namespace: str
    object_name: str
    uid: str
    generation: int
    name: str
    """The workspace's name in its org."""
    org: str
    """Name of the org; empty where the object does not say it."""
    routing_key: str
    images: Mapping[str, str]
    """New tags by image name."""
    forks: Sequence[Place]
    """Deployments that are named."""
    deleted: bool
    """Whether its end was asked for."""
    held: bool
    """Whether our finalizer is there."""
    document: Mapping[str, Any] = field(repr=False)
    """The object itself."""

    @property
    def owner(self) -> str:
        """What its clones are marked with."""
        return f"{self.namespace}/{self.object_name}"


def wish_of(document: Mapping[str, Any]) -> Wish:
    """Reads a Workspace object, which the API server has checked by the schema of its definition."""
    metadata, spec = document["metadata"], document["spec"]
    return Wish(
        namespace=metadata["namespace"],
        object_name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        name=spec["name"],
        org=(metadata.get("labels") or {}).get(ORG_LABEL, ""),
        routing_key=spec["routingKey"],
        images={image["name"]: image["newTag"] for image in spec.get("images") or ()},
        forks=tuple((fork["namespace"], fork["deployment"]) for fork in spec.get("forks") or ()),
        deleted="deletionTimestamp" in metadata,
        held=FINALIZER in (metadata.get("finalizers") or ()),
        document=document,
    )
