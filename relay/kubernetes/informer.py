"""A copy of the objects of one kind, kept true by a list and a watch."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import trio

from relay.errors import RelayError
from relay.kubernetes.client import KubernetesClient, Where
from relay.kubernetes.errors import ForbiddenError, GoneError, UnavailableError
from relay.kubernetes.pauses import pause_seconds
from relay.kubernetes.requests import Resource
from relay.kubernetes.watching import Event

WATCH_SECONDS: Final = 300
"""For how long the API server is asked to go on with a watch."""
GRACE_SECONDS: Final = 30.0
"""How much longer it is waited for."""
STEADY_SECONDS: Final = 10.0
"""What went well for so long was a success: what comes after it is the first failure."""
SHORT_WATCH_SECONDS: Final = 1.0
"""A watch that ends sooner, without a single event, counts as a failure: asking on at once would be a busy loop."""
RELIST_SECONDS: Final = 600.0
"""The whole list is fetched again so often: an event that was never sent is made up for by then."""

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace and name."""
OnEvent = Callable[[Object | None, Object | None], None]
"""Gets an object as it was and as it is; None where it was or is not there."""


def key_of(document: Object) -> Key:
    """Namespace and name of an object."""
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _lighten(metadata: Object) -> None:
    """Takes away what makes up half of an object and is of no use here: who wrote what, and kubectl's own copy."""
    metadata.pop("managedFields", None)
    (metadata.get("annotations") or {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)


class Informer:
    """Follows the objects of one resource.

    Args:
        client: whom to ask.
        resource: the kind of objects.
        where: which of them; called before each list, and may raise as the client does.
        on_event: hears of each change.
        on_error: hears of each failure, which is followed by another attempt.
    """

    def __init__(
        self,
        client: KubernetesClient,
        resource: Resource,
        where: Callable[[], Where],
        *,
        on_event: OnEvent,
        on_error: Callable[[RelayError], None] = lambda _: None,
    ) -> None:
        self.resource = resource
        self.synced = trio.Event()
        """Set once the first list is here."""
        self.answered = trio.Event()
        """Set once it is here, or was refused (403)."""
        self._client = client
        self._where = where
        self._on_event = on_event
        self._on_error = on_error
        self._objects: dict[Key, Object] = {}
        self._version = ""  # empty: a list is needed
        self._listed_at = 0.0
        self._listed_where: Where | None = None
        self._failures = 0

    @property
    def objects(self) -> Mapping[Key, Object]:
        """By namespace and name, without what `_lighten` takes away. Not to be changed."""
        return self._objects

    async def run(self, *, ends: tuple[type[RelayError], ...] = ()) -> None:
        """Follows for ever; raises only errors of the types `ends`."""
        while True:
            began = trio.current_time()
            try:
                await self._follow()
            except ends:
                raise
            except RelayError as error:
                if trio.current_time() - began >= STEADY_SECONDS:
                    self._failures = 0
                if isinstance(error, ForbiddenError):
                    self.answered.set()
                gone = isinstance(error, GoneError)
                if gone:
                    self._version = ""
                self._failures += 1
                self._on_error(error)
                if not (gone and self._failures == 1):  # history is forgotten every few minutes: nothing is wrong
                    await trio.sleep(pause_seconds(self._failures, random.random(), error))

    async def _follow(self) -> None:
        where = self._where()
        if where != self._listed_where or not self._version or trio.current_time() - self._listed_at >= RELIST_SECONDS:
            listed = await self._client.list(self.resource, where)
            self._listed_at, self._listed_where = trio.current_time(), where
            self._replace_all(listed.items)
            self._version = listed.resource_version
            self.synced.set()
            self.answered.set()
        began = trio.current_time()
        # A connection that died without a sign says nothing for ever; a live API server ends a watch in time.
        with trio.move_on_after(WATCH_SECONDS + GRACE_SECONDS) as patience:
            heard = await self._watch(where)
        if patience.cancelled_caught:
            raise UnavailableError("the watch did not end when it should")
        if not heard and trio.current_time() - began < SHORT_WATCH_SECONDS:
            raise UnavailableError("the watch ended as soon as it began")

    async def _watch(self, where: Where) -> bool:
        """Follows changes until the API server ends the watch; gives whether there were any."""
        heard = False
        watch = self._client.watch(self.resource, where, resource_version=self._version, timeout_seconds=WATCH_SECONDS)
        async with watch as events:
            async for event in events:
                heard = True
                self._failures = 0
                self._take(event)
        return heard

    def _take(self, event: Event) -> None:
        if event.type != "BOOKMARK":
            key = key_of(event.object)
            if event.type == "DELETED":
                self._put(key, None)
            else:
                self._put(key, event.object)
        self._version = event.resource_version or self._version

    def _replace_all(self, items: Sequence[Object]) -> None:
        fresh = {key_of(item): item for item in items}
        for key in [key for key in self._objects if key not in fresh]:
            self._put(key, None)
        for key, item in fresh.items():
            self._put(key, item)

    def _put(self, key: Key, new: Object | None) -> None:
        old = self._objects.get(key)
        if new is None:
            self._objects.pop(key, None)
        else:
            if old is not None and old["metadata"].get("resourceVersion") == new["metadata"].get("resourceVersion"):
                return
            _lighten(new["metadata"])
            self._objects[key] = new
        if old is not None or new is not None:
            self._on_event(old, new)
