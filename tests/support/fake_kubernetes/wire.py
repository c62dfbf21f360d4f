"""Requests, answers and the Status objects with which Kubernetes says that something went wrong."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
"""An API object, as JSON has it."""
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the API sees it."""

    method: str
    path: str
    """Percent-encoded, without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    def flag(self, name: str) -> bool:
        """Whether a parameter of the query is true."""
        return self.query.get(name) in {"true", "1"}

    def number(self, name: str) -> int | None:
        """A parameter of the query that is a count. Raises Refusal."""
        text = self.query.get(name, "")
        if not text:
            return None
        if not text.isascii() or not text.isdigit():
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)

    def json(self) -> Object:
        """The body as an object. Raises Refusal."""
        try:
            value = json.loads(self.body)
        except ValueError as error:
            raise bad_request(f"the object provided is unrecognized (must be of type JSON): {error}") from error
        if not isinstance(value, dict):
            raise bad_request("the object provided is unrecognized: it is no JSON object")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer."""

    status: int = 200
    body: bytes | Iterator[bytes] = b""
    """An iterator is sent in chunks as they come; an empty chunk is a moment to see whether the client has left."""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the fake
    """Ends a request with a Status."""

    def __init__(self, status: Object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status["message"])
        self.status = status
        self.headers = dict(headers or {})

    def reply(self) -> Reply:
        """The answer."""
        return json_reply(self.status, self.status["code"], self.headers)


Details = Mapping[str, Any]
Check = Callable[[Object], None]


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer in JSON."""
    body = json.dumps(value, separators=(",", ":")).encode() + b"\n"
    return Reply(status=status, body=body, headers={"content-type": JSON} | dict(headers or {}))


def failure(code: int, reason: str, message: str, details: Details | None = None) -> Object:
    """A Status of failure."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return status | {"reason": reason} | ({"details": dict(details)} if details else {}) | {"code": code}


def success(details: Details) -> Object:
    """The Status that answers a deletion."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": dict(details)}


def bad_request(message: str) -> Refusal:
    """400: the request makes no sense whatever the cluster's state."""
    return Refusal(failure(400, "BadRequest", message))


def no_such_path() -> Refusal:
    """404 for a path that is no resource."""
    return Refusal(failure(404, "NotFound", "the server could not find the requested resource", {}))


def method_not_allowed() -> Refusal:
    """405: the resource has no such verb."""
    message = "the server does not allow this method on the requested resource"
    return Refusal(failure(405, "MethodNotAllowed", message, {}))


def gone(message: str) -> Refusal:
    """410: that state of the cluster is forgotten."""
    return Refusal(failure(410, "Expired", message))


def causes(problems: Sequence[tuple[str, str, str]]) -> list[Object]:
    """(reason, message, field) as StatusDetails has them."""
    return [{"reason": reason, "message": message, "field": where} for reason, message, where in problems]
