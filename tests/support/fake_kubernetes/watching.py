"""Lists in pages, and watches."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.fake_kubernetes.kinds import Kind
from tests.support.fake_kubernetes.selectors import Matches, everything, field_query, label_query
from tests.support.fake_kubernetes.store import Change, Store
from tests.support.fake_kubernetes.wire import Object, Refusal, Request, bad_request, failure, gone

POLL_SECONDS = 0.05
"""How soon a quiet watch notices that its client has left."""
WATCH_SECONDS = 1800.0
"""How long a watch lasts whose client says nothing; Kubernetes draws it between half an hour and an hour."""
INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_CONTINUE_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which objects are asked for."""

    kind: Kind
    namespace: str = ""
    """Empty: all."""
    labels: Matches = everything
    fields: Matches = everything

    @classmethod
    def of(cls, kind: Kind, namespace: str, query: Mapping[str, str]) -> "Selection":
        """What a query says. Raises Refusal."""
        return cls(
            kind=kind,
            namespace=namespace,
            labels=label_query(query.get("labelSelector", "")),
            fields=field_query(kind, query.get("fieldSelector", "")),
        )

    @property
    def whole(self) -> bool:
        """Whether no selector leaves anything out."""
        return self.labels is everything and self.fields is everything

    def has(self, value: Object) -> bool:
        """Whether an object is among them."""
        if self.kind.namespaced and self.namespace not in {"", value["metadata"].get("namespace")}:
            return False
        return self.labels(value) and self.fields(value)


def list_objects(store: Store, chosen: Selection, request: Request) -> Object:
    """A list, or a page of one. Raises Refusal; wants the lock held."""
    limit, version, start = request.number("limit") or 0, store.version, ("", "")
    token = request.query.get("continue", "")
    wanted = request.query.get("resourceVersion", "")
    if token:
        version, start = _position(token)
        if version < store.oldest and version != -1:
            fresh = _token(store.version, start)
            raise Refusal(failure(410, "Expired", _CONTINUE_TOO_OLD) | {"metadata": {"continue": fresh}})
    elif wanted not in {"", "0"}:
        if int(wanted) > store.version:
            raise _too_large(int(wanted), store.version)
        if request.query.get("resourceVersionMatch") == "Exact":
            version = int(wanted)
            if version < store.oldest:
                raise gone(f"The resourceVersion for the provided list is too old: {version} ({store.oldest})")
    found = store.at(chosen.kind, version)
    names = [name for name in sorted(found) if name > start and chosen.has(found[name])]
    page = names[:limit] if limit else names
    metadata: Object = {"resourceVersion": str(version)}
    if len(page) < len(names):
        metadata["continue"] = _token(version, page[-1])
        if chosen.whole:
            metadata["remainingItemCount"] = len(names) - len(page)
    items = [found[name] for name in page]
    return {
        "kind": f"{chosen.kind.name}List",
        "apiVersion": chosen.kind.api_version,
        "metadata": metadata,
        "items": items,
    }


def _token(version: int, start: tuple[str, str]) -> str:
    value = {"v": "meta.k8s.io/v1", "rv": version, "start": "/".join(start)}
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _position(token: str) -> tuple[int, tuple[str, str]]:
    try:
        value = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        namespace, name = str(value["start"]).split("/")
        return int(value["rv"]), (namespace, name)
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request("continue key is not valid: encountered illegal base64 data") from error


def _too_large(wanted: int, current: int) -> Refusal:
    message = f"Too large resource version: {wanted}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return Refusal(failure(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1}))


class Watches:
    """What tests do to all open watches."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.bookmark_round = 0
        self.expired_round = 0

    def bookmark(self) -> None:
        """Sends a bookmark to each watch that asked for them."""
        with self._store.changed:
            self.bookmark_round += 1
            self._store.changed.notify_all()

    def expire(self) -> None:
        """Ends each with the 410 that Kubernetes sends in the stream."""
        with self._store.changed:
            self.expired_round += 1
            self._store.changed.notify_all()


class Watch:
    """The stream of one. Made with the lock held: what tests do to all open watches counts for it from then on."""

    def __init__(self, store: Store, watches: Watches, chosen: Selection, request: Request) -> None:
        self._store, self._watches, self._chosen = store, watches, chosen
        self._bookmarks = request.flag("allowWatchBookmarks")
        self._initial_end = request.query.get("sendInitialEvents") == "true"
        self._from = request.query.get("resourceVersion", "")
        if self._from and not self._from.isdigit():
            raise bad_request(f'Invalid value: "{self._from}": invalid resource version')
        seconds = request.number("timeoutSeconds")
        self._rounds = watches.bookmark_round, watches.expired_round
        self._until = time.monotonic() + (WATCH_SECONDS if seconds is None else seconds)

    def events(self) -> Iterator[list[Object]]:
        """Events as they come; an empty list is a moment in which nothing did."""
        bookmark_round, expired_round = self._rounds
        with self._store.lock:
            version, first = self._first()
        yield first
        if first and first[-1]["type"] == "ERROR":
            return
        while True:
            with self._store.changed:
                self._wait((version, bookmark_round, expired_round))
                if self._watches.expired_round != expired_round or version < self._store.oldest - 1:
                    yield [_too_old(version, self._store.oldest)]
                    return
                found = self._since(version)
                version = self._store.version
                if self._watches.bookmark_round != bookmark_round:
                    bookmark_round = self._watches.bookmark_round
                    found += self._bookmark(version)
            over = time.monotonic() >= self._until
            yield found + (self._bookmark(version) if over else [])
            if over:
                return

    def _wait(self, seen: tuple[int, int, int]) -> None:
        self._store.changed.wait_for(lambda: seen != self._seen(), POLL_SECONDS)

    def _seen(self) -> tuple[int, int, int]:
        return self._store.version, self._watches.bookmark_round, self._watches.expired_round

    def _first(self) -> tuple[int, list[Object]]:
        store, wanted = self._store, int(self._from or 0)
        if wanted == 0 or self._initial_end:
            present = [item for item in store.all(self._chosen.kind, self._chosen.namespace) if self._chosen.has(item)]
            events = [{"type": "ADDED", "object": item} for item in present]
            end = self._bookmark(store.version, {INITIAL_EVENTS_END: "true"}) if self._initial_end else []
            return store.version, events + end
        if wanted < store.oldest:
            return wanted, [_too_old(wanted, store.oldest)]
        return store.version, self._since(wanted)

    def _since(self, version: int) -> list[Object]:
        changes = self._store.since(self._chosen.kind, version)
        return [event for event in map(self._event, changes) if event is not None]

    def _event(self, change: Change) -> Object | None:
        """What a change means to those who see only what they selected."""
        was = change.before is not None and self._chosen.has(change.before)
        is_in = change.type != "DELETED" and self._chosen.has(change.value)
        if is_in:
            return {"type": "MODIFIED" if was else "ADDED", "object": change.value}
        if not was or change.before is None:
            return None
        # What leaves the selection is told in its last state that was in it, with the version at which it left.
        told = change.before if change.type != "DELETED" else change.value
        metadata = told["metadata"] | {"resourceVersion": str(change.version)}
        return {"type": "DELETED", "object": told | {"metadata": metadata}}

    def _bookmark(self, version: int, annotations: Mapping[str, str] | None = None) -> list[Object]:
        if not self._bookmarks:
            return []
        metadata: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
        metadata |= {"annotations": dict(annotations)} if annotations else {}
        kind = self._chosen.kind
        told = {"kind": kind.name, "apiVersion": kind.api_version, "metadata": metadata}
        return [{"type": "BOOKMARK", "object": told}]


def _too_old(wanted: int, oldest: int) -> Object:
    return {"type": "ERROR", "object": failure(410, "Expired", f"too old resource version: {wanted} ({oldest})")}
