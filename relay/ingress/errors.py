"""Errors that only ingress raises, and what a stream's end means to a visitor."""

import re
from dataclasses import dataclass

from relay.errors import RelayError, StreamResetError, UnauthenticatedError
from relay.mux import ResetCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """An answer that leads a browser elsewhere (302, RFC 9110 15.4.3)."""

    location: str
    """An absolute URL of visible ASCII."""
    code: str
    """What the access log calls it."""
    set_cookies: tuple[bytes, ...] = ()
    """Values of Set-Cookie."""
    credential: str = ""
    """Id of the login it is about, for the access log."""


class SignInNeededError(UnauthenticatedError):
    """A person wants to see a preview, and no credential is there: they are led to the sign-in page."""

    def __init__(self, redirect: Redirect) -> None:
        super().__init__("This preview needs a login.")
        self.redirect = redirect


class SignInFailedError(RelayError):
    """The way back from the sign-in page did not lead to a login at this preview."""

    code = "sign_in_failed"
    status = 400


class MisdirectedError(RelayError):
    """The request names a host that this connection, or this relay, does not serve (RFC 9110 15.5.20)."""

    code = "misdirected"
    status = 421


class HeadTimeoutError(RelayError):
    """The visitor was too slow (RFC 9110 15.5.9)."""

    code = "request_timeout"
    status = 408


class TooLargeError(RelayError):
    """The body is larger than what is asked for can take (RFC 9110 15.5.14)."""

    code = "too_large"
    status = 413


class OverloadedError(RelayError):
    """The cluster has as many requests in flight as the relay allows."""

    code = "overloaded"
    status = 503


class NotReadyError(RelayError):
    """The workspace's clone does not run yet."""

    code = "workspace_not_ready"
    status = 503


class TargetTimeoutError(RelayError):
    """The target did not answer in time."""

    code = "target_timeout"
    status = 504


class TargetRefusedError(RelayError):
    """The target refused the connection, or could not be reached."""

    code = "target_refused"
    status = 502


class TargetNotAllowedError(RelayError):
    """The agent may not dial the target."""

    code = "target_not_allowed"
    status = 502


class TargetNotFoundError(RelayError):
    """The target's name does not resolve inside the cluster."""

    code = "target_not_found"
    status = 502


class TargetClosedError(RelayError):
    """The target, or the tunnel to it, ended before it answered."""

    code = "target_closed"
    status = 502


_BY_RESET_CODE: dict[int, type[RelayError]] = {
    ResetCode.REFUSED: TargetRefusedError,
    ResetCode.UNREACHABLE: TargetRefusedError,
    ResetCode.NOT_ALLOWED: TargetNotAllowedError,
    ResetCode.NOT_FOUND: TargetNotFoundError,
    ResetCode.TIMED_OUT: TargetTimeoutError,
    ResetCode.LIMIT: OverloadedError,
}


def target_error(error: StreamResetError, host: str, port: int, *, shown: bool = False) -> RelayError:
    """What a visitor is told when the stream to a target was reset before an answer came.

    The agent's reason names what it was asked to dial. Where the visitor did not name it themselves (`shown`), the name
    is left out: it rests sealed in the database, and a public preview answers strangers.
    """
    kind = _BY_RESET_CODE.get(error.wire_code, TargetClosedError)
    if shown:
        return kind(f"The target {host}:{port} could not be used: {error}")
    reason = re.sub(rf"{re.escape(host)}(:{port})?|\[{re.escape(host)}\]:{port}", "it", str(error), flags=re.IGNORECASE)
    return kind(f"The target of this preview could not be used: {reason}")
