"""Error answers as the visitor understands them: a page, JSON, or a gRPC status."""

import time

from relay.errors import ClusterOfflineError, ForbiddenError, NotFoundError, RelayError
from relay.http1 import RequestHead, error_answer, response_head, wants_html
from relay.ingress.errors import NotReadyError, OverloadedError, Redirect, SignInFailedError
from relay.ingress.settings import RESERVED_PATHS

RETRY_AFTER_SECONDS = 5  # an agent that lost its tunnel is back within seconds, see docs/agent.md
# gRPC status by HTTP status: https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_GRPC_STATUS = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
_GRPC_UNKNOWN = 2
OPENER_POLICY = (b"cross-origin-opener-policy", b"same-origin")
"""A page that opened this window loses it, and cannot read where it is led: login codes stand in URLs on the way."""


def refusal(head: RequestHead | None, error: RelayError, *, request_id: str, keep_alive: bool, app_url: str) -> bytes:
    """The complete answer to a request that is refused. `head` is None when none could be read.

    `app_url` is where a person who is met by it sees their previews.
    """
    message = _sentence(error)
    if head is not None and (head.get(b"content-type") or b"").startswith(b"application/grpc"):
        return _grpc_answer(error.status, message, request_id=request_id, keep_alive=keep_alive)
    return error_answer(
        status=error.status,
        code=error.code,
        message=message,
        request_id=request_id,
        html=head is not None and wants_html(head),
        keep_alive=keep_alive,
        head_only=head is not None and head.method == b"HEAD",
        extra_headers=_extra_headers(head, error),
        link=_way_on(error, app_url),
    )


def redirection(redirect: Redirect, *, request_id: str, keep_alive: bool) -> bytes:
    """The complete answer that leads a browser elsewhere; nothing on the way keeps it or tells where it came from."""
    headers = [
        (b"location", redirect.location.encode("ascii")),
        *((b"set-cookie", value) for value in redirect.set_cookies),
        (b"content-length", b"0"),
        (b"cache-control", b"no-store"),
        (b"referrer-policy", b"no-referrer"),
        OPENER_POLICY,
        (b"x-request-id", request_id.encode("ascii")),
    ]
    if not keep_alive:
        headers.append((b"connection", b"close"))
    return response_head(302, headers)


def _way_on(error: RelayError, app_url: str) -> tuple[str, str] | None:
    if isinstance(error, SignInFailedError):
        return "/", "Start again"
    if isinstance(error, ForbiddenError | NotFoundError | ClusterOfflineError):
        return f"{app_url}/", "To your previews"
    return None


def _sentence(error: RelayError) -> str:
    if isinstance(error, ClusterOfflineError) and error.since is not None:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(error.since))
        return f"{error} It has been offline since {since}."
    return str(error)


def _extra_headers(head: RequestHead | None, error: RelayError) -> list[tuple[bytes, bytes]]:
    headers: list[tuple[bytes, bytes]] = []
    if head is not None and head.target.startswith(RESERVED_PATHS):
        headers.append(OPENER_POLICY)
    if error.status == 401:  # noqa: PLR2004 - HTTP status
        headers.append((b"www-authenticate", b'ApiKey realm="signadot"'))  # RFC 9110 11.6.1
        origin = head.get(b"origin") if head is not None else None
        if origin is not None:
            # A page may read why it was refused; the answer says nothing that depends on the visitor.
            headers += [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
    if isinstance(error, ClusterOfflineError | NotReadyError | OverloadedError):
        headers.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    return headers


def _grpc_answer(status: int, message: str, *, request_id: str, keep_alive: bool) -> bytes:
    escaped = "".join(char if " " <= char <= "~" and char != "%" else f"%{ord(char) & 0xFF:02X}" for char in message)
    return (
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ncontent-length: 0\r\n"
        f"grpc-status: {_GRPC_STATUS.get(status, _GRPC_UNKNOWN)}\r\ngrpc-message: {escaped}\r\n"
        f"x-request-id: {request_id}\r\n{'' if keep_alive else 'connection: close' + chr(13) + chr(10)}\r\n"
    ).encode("latin-1")
