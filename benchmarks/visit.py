"""How a visitor reaches something through a peer: the URL, the headers, the certificate to trust."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Resource = Literal["small", "medium", "large", "bulk", "endless", "upload"]
"""Answers of 12 bytes, 10 KiB and 1 MiB; a file of the size asked for; one without end; something that takes a body."""
FETCHED: tuple[Resource, ...] = ("small", "medium", "large", "bulk", "endless")
"""What a GET gives; each is the path it is under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One URL and what to send with it. Names are never looked up: everything is on loopback."""

    url: str
    headers: Sequence[tuple[str, str]] = ()
    ca_file: Path | None = None

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


def visits(
    base: str,
    *,
    sink: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
    ca_file: Path | None = None,
) -> Mapping[Resource, Visit]:
    """All resources below the URL `base`; uploads go below `sink` where that is another one."""
    bases = {**dict.fromkeys(FETCHED, base), "upload": base if sink is None else sink}
    return {name: Visit(url=f"{url}/{name}", headers=headers, ca_file=ca_file) for name, url in bases.items()}
