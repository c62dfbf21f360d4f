"""The relay's own cookie kept apart from the application's (RFC 6265 4 and 5)."""

import re

from relay.http1.fields import Headers

# Browsers decode percent escapes and map other characters before they compare a Domain: that can spell any name.
_PLAIN_DOMAIN = re.compile(rb"[0-9A-Za-z._-]*+")


def strip_cookie(headers: Headers, name: bytes) -> Headers:
    """Headers without any cookie of this name; the very same list where there is none.

    Names are compared without regard to case, as browsers do for the `__Host-` prefix.
    """
    name = name.lower()
    if not any(key == b"cookie" and name in value.lower() for key, value in headers):
        return headers
    stripped = []
    for header in headers:
        if header[0] == b"cookie" and name in header[1].lower():
            value = _without(header[1], name)
            if value:
                stripped.append((b"cookie", value))
        else:
            stripped.append(header)
    return stripped


def _without(value: bytes, name: bytes) -> bytes:
    kept = []
    quoted = False
    for part in value.split(b";"):
        if quoted:  # the rest of our cookie in its quoted form, for readers that take `;` within quotes
            quoted = not part.rstrip(b" \t").endswith(b'"')
        elif _name_of(part) == name:
            content = part.partition(b"=")[2].strip(b" \t")
            quoted = content.startswith(b'"') and (len(content) == 1 or not content.endswith(b'"'))
        elif part.strip(b" \t"):
            kept.append(part.strip(b" \t"))
    return b"; ".join(kept)


def _name_of(pair: bytes) -> bytes:
    """A cookie's name in lower case. A cookie without name reads as its value does: `=x=1` comes back as `x=1`."""
    return pair.strip(b" \t").lstrip(b"= \t").partition(b"=")[0].strip(b" \t").lower()


def may_set_cookie(value: bytes, *, own_cookie: bytes, host: str) -> bool:
    """Whether a Set-Cookie from an application may pass to a visitor of `host`.

    Not where it names the relay's cookie, and not where its Domain is above the host, or in a spelling that may be:
    previews are siblings one label below the preview domain, and one must not plant cookies for another.
    """
    pair, *attributes = value.split(b";")
    name = _name_of(pair)
    if name == own_cookie.lower():
        return False
    for attribute in attributes:
        key, _, text = attribute.partition(b"=")
        if key.strip(b" \t").lower() == b"domain":
            text = text.strip(b' \t"')
            domain = text.lower().strip(b".").decode("latin-1")
            if _PLAIN_DOMAIN.fullmatch(text) is None:
                return False
            if domain and host.endswith("." + domain):
                return False
    return True
