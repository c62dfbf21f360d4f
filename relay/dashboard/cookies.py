"""The app host's own cookies. `__Host-`: no other host, and no page over http, can set them (RFC 6265bis 4.1.3.2)."""

LOGIN_COOKIE = "__Host-sd-login"
"""The login of this browser: a secret of which the database has a hash."""
OAUTH_COOKIE = "__Host-sd-oauth"
"""A sign-in at GitHub that has begun: sealed, so that nobody else can have begun it."""
OAUTH_SECONDS = 600
"""Time for GitHub's password and second factor."""


def set_cookie(name: str, value: str, *, seconds: float) -> tuple[bytes, bytes]:
    """The Set-Cookie header of a cookie that lasts so long, for this host alone and no script."""
    text = f"{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={int(seconds)}"
    return b"set-cookie", text.encode("ascii")


def clear_cookie(name: str) -> tuple[bytes, bytes]:
    """The Set-Cookie header that ends a cookie."""
    return set_cookie(name, "", seconds=0)
