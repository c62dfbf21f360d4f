"""Requests and answers of the pages, over ASGI."""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from relay.errors import BadRequestError

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_FIELDS = 16
"""A callback of GitHub has four; more is somebody's experiment."""
FORM = b"application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request for a page."""

    method: str
    """HEAD counts as GET: the server leaves the body out."""
    path: str
    """As it was sent, escapes included: no page has a path that needs one."""
    query: dict[str, str]
    form: dict[str, str]
    """The fields of a form that was posted."""
    headers: list[tuple[bytes, bytes]]
    """Names in lower case."""
    address: str
    """Where it comes from."""

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    def cookie(self, name: str) -> str | None:
        """A cookie's value. None where it is missing or there are several: one of them may be somebody else's."""
        found = [
            value.strip()
            for key, line in self.headers
            if key == b"cookie"
            for own, separator, value in (pair.partition("=") for pair in line.decode("latin-1").split(";"))
            if separator and own.strip().lower() == name.lower()
        ]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""

    def with_headers(self, *headers: tuple[bytes, bytes]) -> "Answer":
        """The same with further headers."""
        return Answer(status=self.status, headers=(*self.headers, *headers), body=self.body)


async def read_request(scope: MutableMapping[str, Any], receive: Receive) -> Request:
    """Takes a request apart. Raises BadRequestError for a query or form that can be read in two ways."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(name.lower(), value) for name, value in scope["headers"]]
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    is_form = content_type.partition(b";")[0].strip().lower() == FORM
    client = scope.get("client") or ("", 0)
    return Request(
        method="GET" if scope["method"] == "HEAD" else scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=_fields(scope["query_string"]),
        form=_fields(body) if is_form else {},
        headers=headers,
        address=client[0],
    )


def _fields(encoded: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict", separator="&"
        )
    except ValueError as error:
        raise BadRequestError("The query or form cannot be read.", reason="form") from error
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise BadRequestError("The query or form has a field twice.", reason="form")
    return fields


async def send_answer(answer: Answer, send: Send) -> None:
    """Sends an answer by ASGI."""
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})
