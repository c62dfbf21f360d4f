"""Requests, replies and errors as GitHub's API shapes them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the endpoints see it."""

    method: str
    path: str
    """Percent-encoded, without the query and, on the API, without the prefix."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def form_or_json(self) -> dict[str, str]:
        """The body's fields, whichever of the two it is."""
        if "json" in self.headers.get("content-type", ""):
            value = self.json()
            return {str(key): str(item) for key, item in value.items() if item is not None}
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

    def json(self) -> dict[str, Any]:
        """The body as an object. Raises Refusal."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError as error:
            raise refusal(400, "Problems parsing JSON") from error
        if not isinstance(value, dict):
            raise refusal(400, "Body should be a JSON object")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the fake
    """Ends a request with an error answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


def json_reply(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    content = {"content-type": "application/json; charset=utf-8"}
    return Reply(status=status, body=json.dumps(value).encode(), headers=content | dict(headers or {}))


def error_reply(
    status: int,
    message: str,
    *,
    docs: str = DOCS,
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """An error in the shape of the REST API."""
    value: dict[str, Any] = {"message": message}
    if errors is not None:
        value["errors"] = list(errors)
    return json_reply(status, value | {"documentation_url": docs, "status": str(status)}, headers)


def refusal(
    status: int, message: str, *, docs: str = DOCS, errors: Sequence[Mapping[str, Any]] | None = None
) -> Refusal:
    """The same, to be raised."""
    return Refusal(error_reply(status, message, docs=docs, errors=errors))


def not_found() -> Refusal:
    """Unknown, or not to be known."""
    return refusal(404, "Not Found")


def not_accessible() -> Refusal:
    """A permission is missing."""
    return refusal(403, "Resource not accessible by integration")
