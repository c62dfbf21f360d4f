"""What the controller has seen of the cluster, with what is looked for often found at once."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from client.kubernetes.controller.clones import owner_of
from client.kubernetes.controller.images import names_of, plain
from client.kubernetes.controller.wishes import Place
from relay.kubernetes import DEPLOYMENTS, PODS, SERVICES, Resource, key_of

Object = dict[str, Any]
Key = tuple[Resource, str, str]
"""What is found, by what, and the value of that."""
OWNER, IMAGE, NAMESPACE = "owner", "image", "namespace"


class Seen:
    """Objects of all namespaces, as the watches tell of them."""

    def __init__(self) -> None:
        self._objects: dict[Resource, dict[Place, Object]] = {kind: {} for kind in (DEPLOYMENTS, PODS, SERVICES)}
        self._index: dict[Key, set[Place]] = defaultdict(set)

    def put(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        """Notes a change."""
        objects = self._objects[resource]
        if old is not None:
            objects.pop(key_of(old), None)
            for key in _keys(resource, old):
                self._forget(key, key_of(old))
        if new is not None:
            objects[key_of(new)] = new
            for key in _keys(resource, new):
                self._index[key].add(key_of(new))

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
        return self._found(resource, OWNER, owner)

    def users(self, image: str) -> Iterable[Object]:
        """Deployments that run an image of that name and are no clones, in order."""
        return self._found(DEPLOYMENTS, IMAGE, plain(image))

    def services_in(self, namespace: str) -> Iterable[Object]:
        """Services of a namespace that are not before clones, in order."""
        return self._found(SERVICES, NAMESPACE, namespace)

    def owners(self) -> set[str]:
        """Workspace objects that anything belongs to."""
        return {value for _, by, value in self._index if by == OWNER}

    def _found(self, resource: Resource, by: str, value: str) -> Iterable[Object]:
        objects = self._objects[resource]
        return [objects[place] for place in sorted(self._index.get((resource, by, value), ()))]

    def _forget(self, key: Key, place: Place) -> None:
        places = self._index.get(key)
        if places is not None:
            places.discard(place)
            if not places:
                del self._index[key]


def _keys(resource: Resource, document: Object) -> Iterator[Key]:
    if owner := owner_of(document):
        yield resource, OWNER, owner
    elif resource == DEPLOYMENTS:
        for name in names_of(document):
            yield resource, IMAGE, name
    elif resource == SERVICES:
        yield resource, NAMESPACE, document["metadata"]["namespace"]
