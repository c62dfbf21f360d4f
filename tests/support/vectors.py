"""The HTTP vectors of tests/vectors/http1, for unit tests and to be sent over real sockets."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "vectors" / "http1"
VISITOR_FILES = ("heads", "targets", "hosts", "framing", "chunks", "pipelines", "connection")
HOST = b"web--demo.preview.test"
"""Stands for the preview host in all vectors; `Vector.bytes_for` puts another one of any length in its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A request that a target must see, and no other."""

    method: bytes
    target: bytes
    host: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """Bytes of one visitor's connection, and what has to become of them."""

    name: str
    rfc: str
    data: bytes
    accepted: tuple[Expected, ...]
    """Requests that are accepted, in order, before anything else happens."""
    reject: str | None
    """Slug of the refusal that follows, None where there is none."""
    incomplete: bool
    """Whether the connection then waits for more bytes."""

    def bytes_for(self, host: bytes) -> bytes:
        """The bytes with another preview host; `host` may carry a port only where nothing else repeats it."""
        return self.data.replace(HOST, host)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseVector:
    """Bytes that a target answers, and what has to become of them."""

    name: str
    rfc: str
    data: bytes
    method: bytes
    status: int | None
    body: bytes
    reusable: bool
    """Whether the stream may carry another request afterwards."""
    reject: str | None


def visitor_vectors() -> list[Vector]:
    """All vectors of what visitors send."""
    return [_vector(file, item) for file in VISITOR_FILES for item in _load(file)]


def response_vectors() -> list[ResponseVector]:
    """All vectors of what targets answer."""
    return [_response(item) for item in _load("responses")]


def _load(file: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((FOLDER / f"{file}.json").read_text())
    return items


def _vector(file: str, item: dict[str, Any]) -> Vector:
    return Vector(
        name=f"{file}: {item['name']}",
        rfc=item["rfc"],
        data=item["bytes"].encode("latin-1"),
        accepted=tuple(
            Expected(
                method=request["method"].encode(),
                target=request["target"].encode(),
                host=request["host"],
                body=request["body"].encode("latin-1"),
            )
            for request in item["accept"]
        ),
        reject=item.get("reject"),
        incomplete=item.get("incomplete", False),
    )


def _response(item: dict[str, Any]) -> ResponseVector:
    return ResponseVector(
        name=f"responses: {item['name']}",
        rfc=item["rfc"],
        data=item["bytes"].encode("latin-1"),
        method=item["method"].encode(),
        status=item.get("status"),
        body=item.get("body", "").encode("latin-1"),
        reusable=item.get("reusable", False),
        reject=item.get("reject"),
    )
