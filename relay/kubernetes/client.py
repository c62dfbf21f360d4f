"""Verbs of the API, whatever carries the requests: a connection to the API server, or a stream to an agent."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import trio

from relay.kubernetes.errors import BadAnswerError, UnavailableError
from relay.kubernetes.exchange import Answer
from relay.kubernetes.requests import JSON, MERGE_PATCH, PODS, ApiRequest, Query, Resource, query
from relay.kubernetes.watching import Events

PAGE_ITEMS = 500
"""Of one page of a list: what kubectl asks for too."""
MAX_ITEMS = 20_000
"""Of a list in all: larger than any cluster's that this is for, and a bound for an agent that never ends one."""
DOCUMENT_SECONDS = 75.0
"""For a whole document: the API server gives up after 60 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """All objects of a list."""

    items: Sequence[dict[str, Any]]
    resource_version: str
    """From where a watch goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which objects of a resource."""

    namespace: str = ""
    """Empty: all namespaces."""
    labels: str = ""
    """A label selector."""
    fields: str = ""
    """A field selector."""


EVERYWHERE = Where()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What of a container's log."""

    container: str = ""
    """May be empty where the pod has one container only."""
    follow: bool = False
    since_seconds: int | None = None
    since_time: str = ""
    """RFC 3339."""
    tail_lines: int | None = None
    timestamps: bool = False
    """Each line begins with its time."""
    previous: bool = False
    """Of the container's last life."""

    def query(self) -> Query:
        """As parameters of the request."""
        return query(
            container=self.container,
            follow=self.follow,
            sinceSeconds=self.since_seconds,
            sinceTime=self.since_time,
            tailLines=self.tail_lines,
            timestamps=self.timestamps,
            previous=self.previous,
        )


class KubernetesClient(ABC):
    """What can be asked. All verbs raise KubernetesError, by kind; those of the carrier come besides."""

    @abstractmethod
    def exchange(self, request: ApiRequest) -> AbstractAsyncContextManager[Answer]:
        """Sends a request; the answer may be read until the context ends, which ends what carries it as well."""

    async def document(self, request: ApiRequest) -> dict[str, Any]:
        """The JSON object that answers a request."""
        try:
            with trio.fail_after(DOCUMENT_SECONDS):
                async with self.exchange(request) as answer:
                    return await answer.document()
        except trio.TooSlowError:
            raise UnavailableError(f"there was no whole answer within {DOCUMENT_SECONDS:g} s") from None

    async def version(self) -> str:
        """The version of Kubernetes: `v1.33.1`."""
        version = (await self.document(ApiRequest(method="GET", path="/version"))).get("gitVersion")
        if not isinstance(version, str) or not version.isprintable():
            raise BadAnswerError("the API server does not say its version")
        return version

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        """One object. Raises NotFoundError."""
        return await self.document(ApiRequest(method="GET", path=resource.path(namespace, name)))

    async def list(self, resource: Resource, where: Where = EVERYWHERE, *, page_items: int = PAGE_ITEMS) -> Listed:
        """All objects, fetched in pages of one state. Raises GoneError when that state is given up in between."""
        items: list[dict[str, Any]] = []
        rest = ""
        while True:
            parameters = query(
                limit=page_items, labelSelector=where.labels, fieldSelector=where.fields, **{"continue": rest}
            )
            page = await self.document(ApiRequest(method="GET", path=resource.path(where.namespace), query=parameters))
            items += _items(page)
            if len(items) > MAX_ITEMS:
                raise BadAnswerError(f"the API server's list has more than {MAX_ITEMS} items")
            metadata = page.get("metadata") or {}
            rest = metadata.get("continue") or ""
            if not rest:
                return Listed(items=items, resource_version=metadata.get("resourceVersion") or "")

    @asynccontextmanager
    async def watch(
        self, resource: Resource, where: Where = EVERYWHERE, *, resource_version: str, timeout_seconds: int = 300
    ) -> AsyncIterator[Events]:
        """Changes since a resource version, bookmarks included, until the API server ends it.

        Raises GoneError, here or while events are read: list again.
        """
        parameters = query(
            watch=True,
            allowWatchBookmarks=True,
            labelSelector=where.labels,
            fieldSelector=where.fields,
            resourceVersion=resource_version,
            timeoutSeconds=timeout_seconds,
        )
        request = ApiRequest(method="GET", path=resource.path(where.namespace), query=parameters)
        async with self.exchange(request) as answer:
            await answer.check()
            yield Events(answer)

    @asynccontextmanager
    async def pod_log(self, namespace: str, pod: str, options: LogOptions) -> AsyncIterator[Answer]:
        """A container's log as an iterator of bytes, in pieces that end anywhere."""
        path = PODS.path(namespace, pod, "log")
        async with self.exchange(ApiRequest(method="GET", path=path, query=options.query(), accept="*/*")) as answer:
            await answer.check()
            yield answer

    async def create(self, resource: Resource, namespace: str, document: dict[str, Any]) -> dict[str, Any]:
        """A new object. Raises ConflictError with reason `AlreadyExists`."""
        return await self._write("POST", resource.path(namespace), document)

    async def replace(self, resource: Resource, namespace: str, document: dict[str, Any]) -> dict[str, Any]:
        """Writes an object whole. Raises ConflictError when it has changed since its resource version."""
        return await self._write("PUT", resource.path(namespace, str(document["metadata"]["name"])), document)

    async def patch(
        self, path: str, patch: Any, *, content_type: str = MERGE_PATCH, manager: str = "", force: bool = False
    ) -> dict[str, Any]:
        """Changes an object (or a subresource), found at `path`, by a patch of one of the types."""
        parameters = query(fieldManager=manager, force=force)
        request = ApiRequest(
            method="PATCH", path=path, query=parameters, content_type=content_type, body=json.dumps(patch).encode()
        )
        return await self.document(request)

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "") -> None:
        """Asks for an object's end; with `uid` only of that very object. Raises NotFoundError, ConflictError."""
        path = resource.path(namespace, name)
        if uid:
            options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
            await self._write("DELETE", path, options)
        else:
            await self.document(ApiRequest(method="DELETE", path=path))

    async def _write(self, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(document).encode()
        return await self.document(ApiRequest(method=method, path=path, content_type=JSON, body=body))


def _items(page: dict[str, Any]) -> list[dict[str, Any]]:
    items = page.get("items")
    if items is None:  # Go writes an empty list so
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadAnswerError("the API server's list has no items")
    return items
