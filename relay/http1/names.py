"""Header names with a meaning of their own between visitor, relay and target."""

OURS = frozenset(
    {
        b"signadot-api-key", b"signadot-cluster", b"sd-routing-key", b"sd-workspace",
        b"uberctx-sd-workspace", b"uberctx-sd-routing-key", b"ot-baggage-sd-workspace", b"ot-baggage-sd-routing-key",
        b"x-request-id", b"forwarded",
    }
)  # fmt: skip
"""What the relay itself reads or sets; a visitor's copies never reach a target."""

OUR_PREFIXES = (b"x-forwarded-", b"signadot-")

MERGED = frozenset({b"baggage", b"tracestate"})
"""Headers of W3C Trace Context that carry the visitor's entries beside ours."""

PREVIEW_COOKIE = b"__Host-sd-preview"
"""The cookie of a browser's login at one preview host."""
NONCE_COOKIE = b"__Host-sd-nonce"
"""The cookie that ties a sign-in to the browser that began it, on the preview host where it began."""
OWN_COOKIES = frozenset({PREVIEW_COOKIE, NONCE_COOKIE, b"__Host-sd-login", b"__Host-sd-oauth"})
"""All cookies of the relay's own; the last two belong to the app host."""

# Connection may name what concerns this hop only. A request that names one of these wants something removed on which
# the target, or we, decide about it.
_PROTECTED = OURS | MERGED | {
    b"host", b"cookie", b"authorization", b"content-length", b"content-type", b"content-encoding", b"content-range",
    b"transfer-encoding", b"origin", b"referer", b"cache-control", b"range", b"expect", b"via", b"date", b"accept",
    b"traceparent", b"set-cookie", b"max-forwards",
}  # fmt: skip
_PROTECTED_PREFIXES = (*OUR_PREFIXES, b"sec-", b"access-control-", b"if-")


def is_protected(name: bytes) -> bool:
    """Whether Connection must not name this header; `name` in lower case."""
    return name in _PROTECTED or name.startswith(_PROTECTED_PREFIXES)
