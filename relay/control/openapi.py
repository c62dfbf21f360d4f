"""The OpenAPI document: what FastAPI derives, with examples and with the headers that answers carry."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI

DESCRIPTION = """\
Clusters, workspaces and credentials of a relay.

Errors all have one shape, `ErrorAnswer`. Before a request reaches an operation, the relay may refuse it in that shape
as malformed (400, 431), too slow (408), too large (413), meant for another host (421), unknown (404, 405), or while it
has too much to do (503). A fault of the relay is a 500.

Only API keys are credentials here; the cookies of people who signed in are not looked at.
"""
_ETAG: dict[str, Any] = {
    "schema": {"type": "string"},
    "description": "Stands for the specification; for If-Match.",
    "example": '"5f0c-1"',
}
_LINK: dict[str, Any] = {
    "schema": {"type": "string"},
    "description": 'The next page, with `rel="next"`; absent on the last one.',
}
_RETRY_AFTER = {"schema": {"type": "integer"}, "description": "Seconds until it is worth asking again.", "example": 1}
_RATE = {
    "RateLimit-Limit": ("Requests that the credential may make in a burst, and in a minute.", 600),
    "RateLimit-Remaining": ("Requests that are left now.", 599),
    "RateLimit-Reset": ("Seconds until all are there again.", 1),
}
_RATE_HEADERS = {
    name: {"schema": {"type": "integer"}, "description": description, "example": example}
    for name, (description, example) in _RATE.items()
}
_NOT_COUNTED = {"401", "429"}
"""Answers that may come before the credential is known, and so without its rate."""


class DocumentedApi(FastAPI):
    """FastAPI whose document also shows examples of all bodies and the headers of answers."""

    def openapi(self) -> dict[str, Any]:
        """The document; made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)  # ErrorAnswer is the shape
            for operation in _operations(document):
                _finish(operation, schemas)
        assert self.openapi_schema is not None  # noqa: S101 - FastAPI keeps what it made
        return self.openapi_schema


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """An example of what a schema describes, put together from the examples of its parts."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    default = [schema["default"]] if schema.get("default") else []
    if known := schema.get("examples") or default or schema.get("enum"):
        return known[0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], schemas)
    if schema.get("type") == "array":
        return [example_of(schema["items"], schemas)]
    properties: Mapping[str, Any] = schema.get("properties", {})
    return {name: example_of(part, schemas) for name, part in properties.items()}


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from item.values()


def _finish(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    for part in (operation.get("requestBody"), *operation["responses"].values()):
        for media in (part or {}).get("content", {}).values():
            media["example"] = example_of(media["schema"], schemas)
    for status, answer in operation["responses"].items():
        headers: dict[str, Any] = {} if status in _NOT_COUNTED else dict(_RATE_HEADERS)
        if status == "429":
            headers["Retry-After"] = _RETRY_AFTER
        if status.startswith("2"):
            shown = schemas.get(_schema_name(answer), {}).get("properties", {})
            headers |= {"ETag": _ETAG} if "routingKey" in shown else {}
            headers |= {"Link": _LINK} if "nextCursor" in shown else {}
        answer["headers"] = headers


def _schema_name(answer: Mapping[str, Any]) -> str:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]
