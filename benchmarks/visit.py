"""How a visitor reaches something through a peer: the URL, the headers, the certificate to trust."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

Resource = Literal["small", "once", "medium", "large", "bulk", "endless", "upload", "echo"]
"""Answers of 12 bytes, the same after which the target closes its connection, 10 KiB and 1 MiB; a file of the size
asked for; one without end; something that takes a body; WebSockets whose messages come back."""
FETCHED: tuple[Resource, ...] = ("small", "once", "medium", "large", "bulk", "endless")
"""What a GET gives; each is the path it is under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One URL and what to send with it. Names are never looked up: everything is on loopback."""

    url: str
    headers: Sequence[tuple[str, str]] = ()
    ca_file: Path | None = None
    proxy: "Visit | None" = None
    """Where a CONNECT leads to it, with the headers of that; None: straight to the URL."""

    @property
    def path(self) -> str:
        """The path in the URL."""
        return urlsplit(self.url).path

    @property
    def host(self) -> str:
        """The name in the URL, which is also the SNI."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port in the URL."""
        port = urlsplit(self.url).port
        if port is None:
            raise ValueError(f"{self.url} names no port")
        return port

    @property
    def secure(self) -> bool:
        """Whether it goes over TLS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def header_arguments(self) -> list[str]:
        """The headers as curl and wrk take them."""
        return [argument for name, value in self.headers for argument in ("-H", f"{name}: {value}")]


def write_visit(visit: Visit) -> str:
    """As JSON, for another program."""
    return json.dumps(asdict(visit), default=str)


def read_visit(values: Mapping[str, Any]) -> Visit:
    """What `write_visit` wrote."""
    return Visit(
        url=values["url"],
        headers=[(name, value) for name, value in values["headers"]],
        ca_file=None if values["ca_file"] is None else Path(values["ca_file"]),
        proxy=None if values["proxy"] is None else read_visit(values["proxy"]),
    )


def visits(
    base: str,
    *,
    sink: str | None = None,
    echo: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    ca_file: Path | None = None,
) -> Mapping[Resource, Visit]:
    """All resources below the URL `base`; uploads and WebSockets go below others where these are given."""
    bases: dict[Resource, str] = {**dict.fromkeys(FETCHED, base), "upload": sink or base}
    if echo is not None:
        bases["echo"] = echo
    return {name: Visit(url=f"{url}/{name}", headers=headers, ca_file=ca_file) for name, url in bases.items()}
