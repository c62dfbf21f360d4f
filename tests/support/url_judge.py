"""Where a browser would go: reads URLs as the WHATWG standard does, and is stricter than it where that is doubtful.

It shares no code with the relay.
"""

import re
from urllib.parse import unquote

SPECIAL = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


def destination(location: str, *, base: str) -> tuple[str, str, int]:
    """Scheme, host and port that a browser at `base` (an https origin) goes to for a Location header."""
    text = location.strip("".join(map(chr, range(33))))
    text = re.sub(r"[\t\n\r]", "", text)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", text)
    if scheme is None:
        slashed = text.replace("\\", "/")
        if slashed.startswith("//"):
            return _authority("https", slashed)
        return destination(base, base="")
    name = scheme[1].lower()
    if name not in SPECIAL:
        return name, text, 0
    # Any number of slashes, of either kind, and none at all: browsers take them all for two.
    return _authority(name, text[scheme.end() :].replace("\\", "/"))


def _authority(scheme: str, rest: str) -> tuple[str, str, int]:
    authority = re.split(r"[/?#]", rest.lstrip("/"), maxsplit=1)[0]
    host_port = authority.rpartition("@")[2]
    host, _, port = host_port.partition(":")
    host = unquote(host).lower()
    for dot in "\u3002\uff0e\uff61":  # UTS 46 maps these to full stops
        host = host.replace(dot, ".")
    return scheme, host, int(port) if port.isascii() and port.isdigit() else SPECIAL[scheme] if not port else -1
