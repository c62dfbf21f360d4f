"""What the controller has seen of the cluster, with its clones found by their owner."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from client.kubernetes.controller.clones import owner_of
from client.kubernetes.controller.wishes import Place
from relay.kubernetes import DEPLOYMENTS, PODS, SERVICES, Resource, key_of

Object = dict[str, Any]


class Seen:
    """Objects of all namespaces, as the watches tell of them."""

    def __init__(self) -> None:
        self._objects: dict[Resource, dict[Place, Object]] = {kind: {} for kind in (DEPLOYMENTS, PODS, SERVICES)}
        self._owned: dict[tuple[Resource, str], set[Place]] = defaultdict(set)

    def put(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """Notes a change."""
        objects = self._objects[resource]
        if old is not None:
            objects.pop(key_of(old), None)
            self._disown(resource, owner_of(old), key_of(old))
        if new is not None:
            objects[key_of(new)] = new
            if owner := owner_of(new):
                self._owned[resource, owner].add(key_of(new))

    @property
    def deployments(self) -> Mapping[Place, Object]:
        """All of them, clones too."""
        return self._objects[DEPLOYMENTS]

    @property
    def services(self) -> Mapping[Place, Object]:
        """All of them, those of clones too."""
        return self._objects[SERVICES]

    def owned(self, resource: Resource, owner: str) -> Iterable[Object]:
        """What belongs to one Workspace object, in order."""
        objects = self._objects[resource]
        return [objects[place] for place in sorted(self._owned.get((resource, owner), ()))]

    def owners(self) -> set[str]:
        """Workspace objects that anything belongs to."""
        return {owner for _, owner in self._owned}

    def _disown(self, resource: Resource, owner: str, place: Place) -> None:
        places = self._owned.get((resource, owner))
        if places is not None:
            places.discard(place)
            if not places:
                del self._owned[resource, owner]
