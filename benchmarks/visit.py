"""How a visitor reaches something through a peer: the URL, the headers, the certificate to trust."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Resource = Literal["small", "bulk", "endless", "upload"]
"""A 12-byte answer; a file of the size asked for; a file without end; something that takes a body."""


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
    def header_arguments(self) -> list[str]:
        """The headers as curl and wrk take them."""
        return [argument for name, value in self.headers for argument in ("-H", f"{name}: {value}")]
