"""The relay's own cookies kept apart from the application's (RFC 6265 4 and 5)."""

import re
from collections.abc import Iterable

from relay.http1.fields import Headers
from relay.http1.names import OWN_COOKIES

# Names are compared in lower case, as browsers do for the `__Host-` prefix.
_OWN = frozenset(name.lower() for name in OWN_COOKIES)
_OWN_PREFIX = b"__host-sd-"  # what all of them begin with, so that one search tells heads without any
# Browsers decode percent escapes and map other characters before they compare a Domain: that can spell any name.
_PLAIN_DOMAIN = re.compile(rb"[0-9A-Za-z._-]*+")


def strip_own_cookies(headers: Headers) -> Headers:
    """Headers without any cookie of the relay's own; the very same list where there is none.

    Names are compared without regard to case, as browsers do for the `__Host-` prefix.
    """
    if not any(key == b"cookie" and _OWN_PREFIX in value.lower() for key, value in headers):
        return headers
    stripped = []
    for header in headers:
        if header[0] == b"cookie" and _OWN_PREFIX in header[1].lower():
            value = _without_own(header[1])
            if value:
                stripped.append((b"cookie", value))
        else:
            stripped.append(header)
    return stripped


def read_own_cookie(lines: Iterable[bytes], name: bytes) -> tuple[bytes | None, int]:
    """The value of one of the relay's own cookies over all Cookie lines, and how many of that name there are.

    The value is None unless there is exactly one, spelled as the relay spells it: a sibling may have planted others,
    and which of them a browser sends first says nothing.
    """
    value, count, lowered = None, 0, name.lower()
    for line in lines:
        if lowered not in line.lower():
            continue
        for part in line.split(b";"):
            if _name_of(part) == lowered:
                count += 1
                spelled, _, content = part.strip(b" \t").partition(b"=")
                value = content if spelled == name else None
    return (value if count == 1 else None), count


def _without_own(value: bytes) -> bytes:
    kept = []
    quoted = False
    for part in value.split(b";"):
        if quoted:  # the rest of our cookie in its quoted form, for readers that take `;` within quotes
            quoted = not part.rstrip(b" \t").endswith(b'"')
        elif _name_of(part) in _OWN:
            content = part.partition(b"=")[2].strip(b" \t")
            quoted = content.startswith(b'"') and (len(content) == 1 or not content.endswith(b'"'))
        elif part.strip(b" \t"):
            kept.append(part.strip(b" \t"))
    return b"; ".join(kept)


def _name_of(pair: bytes) -> bytes:
    """A cookie's name in lower case. A cookie without name reads as its value does: `=x=1` comes back as `x=1`."""
    return pair.strip(b" \t").lstrip(b"= \t").partition(b"=")[0].strip(b" \t").lower()


def may_set_cookie(value: bytes, *, host: str) -> bool:
    """Whether a Set-Cookie from an application may pass to a visitor of `host`.

    Not where it names a cookie of the relay's, and not where its Domain is above the host, or in a spelling that may
    be: previews are siblings one label below the preview domain, and one must not plant cookies for another.
    """
    pair, *attributes = value.split(b";")
    if _name_of(pair) in _OWN:
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
