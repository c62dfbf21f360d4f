"""Headers and origins that a workspace may ask for: what is refused here can never disturb an exchange."""

import re

from relay.errors import InvalidError

MAX_VALUE_CHARACTERS = 1024
"""Longest value of a routing header: many of them still fit the head limits of common servers (8 KiB)."""

# RFC 9110 section 5.6.2 `token`, without `_`: servers that follow CGI fold it into `-` and so into other headers.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}")
# RFC 9110 section 5.5 `field-value`, ASCII only and without tabs or white space at its ends.
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
# RFC 6454 section 6.2: scheme, lower-case host and a port if it is not the default one; no path, no wildcard.
_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?")

# Framing, connection management, the visitor's credentials and what the relay itself sets.
_RESERVED = frozenset(
    {
        "authorization",
        "baggage",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "origin",
        "ot-baggage-sd-workspace",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "sd-routing-key",
        "signadot-api-key",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "uberctx-sd-workspace",
        "upgrade",
        "via",
        "x-real-ip",
        "x-request-id",
    }
)
_RESERVED_PREFIXES = ("x-forwarded-", "sec-", "signadot-")


def require_routing_header(name: str, value: str, *, field: str) -> tuple[str, str]:
    """Returns the header with its name in lower case; raises InvalidError that names `field` and the rule."""
    lower = name.lower()
    if not _NAME.fullmatch(name):
        raise InvalidError(f"{field}.name: {name!r} is not a header name (letters, digits and hyphens)")
    if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
        raise InvalidError(f"{field}.name: the header {name!r} is reserved")
    if len(value) > MAX_VALUE_CHARACTERS or not _VALUE.fullmatch(value):
        raise InvalidError(
            f"{field}.value: must be 1 to {MAX_VALUE_CHARACTERS} printable ASCII characters without space at its ends"
        )
    return lower, value


def require_origin(origin: str, *, field: str) -> str:
    """Returns `origin`; raises InvalidError unless it is an http or https origin as browsers send it."""
    if not _ORIGIN.fullmatch(origin):
        raise InvalidError(f"{field}: {origin!r} must be an origin in lower case, for example https://app.example.com")
    return origin
