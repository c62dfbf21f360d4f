"""Requests to the API server as values, and the bytes that they become."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396."""
JSON_PATCH = "application/json-patch+json"
"""RFC 6902."""
APPLY_PATCH = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""

Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request; what it is made of must be valid already, as path and query by `Resource.path` and `query` are."""

    method: str
    path: str
    """Without query; only characters that stand for themselves in a path."""
    query: Query = ()
    """Names and values, decoded."""
    content_type: str = ""
    """Empty: there is no body."""
    body: bytes = field(default=b"", repr=False)
    accept: str = JSON

    @property
    def target(self) -> str:
        """Path and query as they go into the request line."""
        if not self.query:
            return self.path
        pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.query)
        return f"{self.path}?{pairs}"

    @property
    def follows(self) -> bool:
        """Whether the answer may begin, and go on, whenever something happens: a log that is followed."""
        return ("follow", "true") in self.query

    @property
    def watches(self) -> bool:
        """Whether the answer goes on with every change."""
        return ("watch", "true") in self.query

    def encode(self, *, host: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
        """Head and body; `headers` are added as they are."""
        lines = [f"{self.method} {self.target} HTTP/1.1", f"host: {host}", f"accept: {self.accept}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if self.content_type:
            lines += [f"content-type: {self.content_type}", f"content-length: {len(self.body)}"]
        head = "\r\n".join([*lines, "", ""]).encode("ascii")
        return head + self.body if self.content_type else head


def query(**parameters: str | int | bool | None) -> Query:
    """The parameters that are given: None, False and the empty text are left out."""
    return tuple(
        (name, "true" if value is True else str(value))
        for name, value in parameters.items()
        if value is not None and value is not False and value != ""
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A kind of objects, by where it is found."""

    group: str = ""
    """API group; empty for the core."""
    version: str = "v1"
    plural: str

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of an object, of its subresource, or of a collection: in one namespace or in all."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        # Quoted, so that no name, whoever chose it, becomes another path.
        return "/" + "/".join(quote(part, safe="") for part in parts)


PODS = Resource(plural="pods")
SERVICES = Resource(plural="services")
ENDPOINT_SLICES = Resource(group="discovery.k8s.io", plural="endpointslices")
DEPLOYMENTS = Resource(group="apps", plural="deployments")
REPLICA_SETS = Resource(group="apps", plural="replicasets")
WORKSPACES = Resource(group="signadot.com", plural="workspaces")
