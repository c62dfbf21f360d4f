"""What all routers share."""

from typing import Any

from fastapi import APIRouter, Security

from relay.control.access import ProtectedRoute, api_key_scheme, authorization_scheme
from relay.control.models.errors import ErrorAnswer

_MEANINGS = {
    400: "The request is malformed.",
    401: "No credential, or one that is malformed, unknown or revoked.",
    403: "The credential does not belong to the org, or its role does not allow this.",
    404: "What was asked for does not exist.",
    409: "The change contradicts the present state.",
    412: "`If-Match` or `If-None-Match` does not hold: it was changed, made or deleted meanwhile.",
    413: "The body is too large.",
    415: "The body is not sent as `application/json`.",
    422: "A value in the request breaks a rule; `problems` has each one with its path.",
    429: "Too many requests of this credential, or too many failed ones from this address.",
    502: "The cluster's API server, or its agent, gave an answer that is none.",
    503: "The store does not answer at the moment.",
}
_ALWAYS = {400, 401, 403, 413, 415, 422, 429, 503}

Answers = dict[int | str, dict[str, Any]]
"""Answers of an operation by status, as FastAPI takes them."""


def answers(*statuses: int) -> Answers:
    """The error answers of an operation, for the OpenAPI document."""
    return {
        status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in sorted({*_ALWAYS, *statuses})
    }


def make_router(resource: str) -> APIRouter:
    """A router whose routes need a credential."""
    schemes = [Security(api_key_scheme), Security(authorization_scheme)]
    return APIRouter(tags=[resource], route_class=ProtectedRoute, dependencies=schemes)
