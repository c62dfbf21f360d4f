"""The root of the exception tree. Each leaf knows its HTTP status and the `code` of the API's error answers."""

from typing import ClassVar, TypeVar

E = TypeVar("E", bound=BaseException)


def leaves(group: BaseExceptionGroup[E]) -> list[E]:
    """The errors in a group and in the groups inside it, in order."""
    found: list[E] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


class RelayError(Exception):
    """Anything the relay or the agent raises on purpose. `str(error)` is one sentence fit to be shown."""

    code: ClassVar[str] = "internal_error"
    """Machine-readable name in error answers and logs."""
    status: ClassVar[int] = 500
    """HTTP status of the answer that this error becomes, where it becomes one."""


class ConfigurationError(RelayError):
    """What the operator wrote cannot be used; carries every problem, each with the key's path or the file."""

    code = "configuration"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ProtocolError(RelayError):
    """A rule of the tunnel protocol was broken; which side broke it is the subclass."""

    code = "protocol_error"


class LocalProtocolError(ProtocolError):
    """Our own code asked a session for something that the protocol does not allow now."""


class RemoteProtocolError(ProtocolError):
    """The peer sent bytes that the protocol does not allow; `wire_code` goes into the GOAWAY."""

    def __init__(self, message: str, *, wire_code: int) -> None:
        super().__init__(message)
        self.wire_code = wire_code


class StreamResetError(RelayError):
    """A stream ended by a reset, ours or the peer's; `wire_code` is one of `relay.mux.codes.ResetCode`."""

    code = "stream_reset"
    status = 502

    def __init__(self, message: str, *, wire_code: int, remote: bool) -> None:
        super().__init__(message)
        self.wire_code = wire_code
        self.remote = remote


class TunnelClosedError(RelayError):
    """The tunnel under a stream is gone, or takes no new streams."""

    code = "tunnel_closed"
    status = 502


class BadRequestError(RelayError):
    """A request that is malformed or ambiguous. `reason` is a short slug, stable, counted in the metrics."""

    code = "bad_request"
    status = 400

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class BadResponseError(RelayError):
    """A target answered with bytes that are not HTTP as we accept it; `reason` is a short slug."""

    code = "bad_response"
    status = 502

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnauthenticatedError(RelayError):
    """No credential, or one that is malformed, unknown, expired or revoked."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(RelayError):
    """The principal is known and may not do this."""

    code = "forbidden"
    status = 403


class NotFoundError(RelayError):
    """What was asked for does not exist for this principal; the message says what was looked up."""

    code = "not_found"
    status = 404


class ConflictError(RelayError):
    """The change contradicts the present state."""

    code = "conflict"
    status = 409


class UnsupportedMediaTypeError(RelayError):
    """The body is of a kind that is not taken (RFC 9110 15.5.16)."""

    code = "unsupported_media_type"
    status = 415


class InvalidError(RelayError):
    """A value in the request breaks a rule; the message names the field's path and the rule."""

    code = "invalid"
    status = 422


class ClusterOfflineError(RelayError):
    """The cluster has no live tunnel; `since` is when the last one ended (epoch seconds), None if there was none."""

    code = "cluster_offline"
    status = 503

    def __init__(self, message: str, *, since: float | None) -> None:
        super().__init__(message)
        self.since = since


class StoreUnavailableError(RelayError):
    """The database does not answer."""

    code = "store_unavailable"
    status = 503


class PreconditionFailedError(RelayError):
    """The thing changed since the caller looked at it (RFC 9110 13.1): If-Match or If-None-Match does not hold."""

    code = "precondition_failed"
    status = 412


class RateLimitedError(RelayError):
    """The credential, or the address, asks too often; `retry_after_seconds` says when to ask again (RFC 6585 4)."""

    code = "rate_limited"
    status = 429

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class GithubUnavailableError(RelayError):
    """GitHub does not answer, or asks us to wait: try again after `retry_after_seconds` where it says so."""

    code = "github_unavailable"
    status = 503

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
