"""What Kubernetes answers instead of what was asked for, as typed errors."""

import json
from typing import Any, ClassVar

from relay import errors


class KubernetesError(errors.RelayError):
    """The API server, or the agent in front of it, answered with an error; the message is theirs."""

    code: ClassVar[str] = "kubernetes_error"
    status: ClassVar[int] = 502

    def __init__(self, message: str, *, http_status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.http_status = http_status
        """Status of the answer, 0 where there was none."""
        self.reason = reason
        """`reason` of the Status object: a word such as `AlreadyExists`; empty where none was sent."""


class UnavailableError(KubernetesError):
    """There was no answer, or 5xx: trying again later may help."""

    code = "kubernetes_unavailable"
    status = 503


class BadAnswerError(KubernetesError):
    """What came is not an answer of Kubernetes."""

    code = "kubernetes_bad_answer"


class UnauthorizedError(KubernetesError):
    """401: the bearer token is not taken."""

    code = "kubernetes_unauthorized"


class ForbiddenError(KubernetesError, errors.ForbiddenError):
    """403: RBAC or the agent does not allow it; the message says which."""

    code = "forbidden"
    status = 403


class NotFoundError(KubernetesError, errors.NotFoundError):
    """404: there is no such object, or no such resource."""

    code = "not_found"
    status = 404


class ConflictError(KubernetesError, errors.ConflictError):
    """409: the object exists already, or has changed since it was read (`reason` tells which)."""

    code = "conflict"
    status = 409


class GoneError(KubernetesError):
    """410: the resource version, or the `continue` of a list, is too old. List again."""

    code = "kubernetes_gone"


class InvalidError(KubernetesError):
    """400, 415 or 422: what was sent is not taken."""

    code = "kubernetes_invalid"


class TooManyRequestsError(KubernetesError):
    """429: ask again after `retry_after_seconds`."""

    code = "kubernetes_busy"
    status = 503

    def __init__(self, message: str, *, reason: str = "", retry_after_seconds: float = 1.0) -> None:
        super().__init__(message, http_status=429, reason=reason)
        self.retry_after_seconds = retry_after_seconds


_BY_STATUS: dict[int, type[KubernetesError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    415: InvalidError,
    422: InvalidError,
    429: TooManyRequestsError,
}
SERVER_ERROR = 500
MAX_MESSAGE_CHARACTERS = 2000
"""Admission webhooks write long ones; a page or a log line need not have all of it."""


def error_of(http_status: int, body: bytes, *, retry_after: str = "") -> KubernetesError:
    """The error for an answer that is none of 2xx; `body` is a Status object, or whatever else was sent."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    return status_error(document, http_status=http_status, retry_after=retry_after)


def status_error(document: Any, *, http_status: int = 0, retry_after: str = "") -> KubernetesError:
    """The error that a Status object stands for, be it the body of an answer or an event of a watch."""
    fields = document if isinstance(document, dict) else {}
    code, message, reason = fields.get("code"), fields.get("message"), fields.get("reason")
    if not http_status and isinstance(code, int):
        http_status = code
    if not isinstance(message, str) or not message:
        message = f"the API server answered with status {http_status}"
    message = message[:MAX_MESSAGE_CHARACTERS]
    reason = reason if isinstance(reason, str) else ""
    if http_status == 429:  # noqa: PLR2004 - Too Many Requests
        seconds = float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else 1.0
        return TooManyRequestsError(message, reason=reason, retry_after_seconds=seconds)
    kind = _BY_STATUS.get(http_status)
    if kind is None:
        kind = UnavailableError if http_status >= SERVER_ERROR else KubernetesError
    return kind(message, http_status=http_status, reason=reason)
