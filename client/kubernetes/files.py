"""The ServiceAccount's files: the bearer token and the API server's CA, as they are now."""

import ssl
from pathlib import Path

from client.token import one_word
from relay.kubernetes import UnavailableError

MAX_TOKEN_BYTES = 16384
"""ServiceAccount tokens have one to two thousand characters."""
MAX_CA_BYTES = 1024 * 1024
"""Bundles with every public root have a quarter of this."""


class CredentialFiles:
    """Reads them anew for every request: a rotated token is used from the next one on.

    Two files of some kilobytes cost less than a tenth of the TLS handshake that follows, and no times or inodes need to
    be believed: an atomic rename, a write in place and the swap of the kubelet's `..data` link all look the same here.
    """

    def __init__(self, token_file: Path, ca_file: Path) -> None:
        self._token_file = token_file
        self._ca_file = ca_file
        self._ca = b""
        self._context: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"CredentialFiles({self._token_file}, {self._ca_file})"

    def token(self) -> str:
        """The token. Raises UnavailableError, which never quotes it, when there is none to be had."""
        token = one_word(_read(self._token_file, MAX_TOKEN_BYTES))
        if token is None:
            raise UnavailableError(f"{self._token_file} must hold one token and nothing else")
        return token

    def context(self) -> ssl.SSLContext:
        """TLS that trusts the CA file and nothing else, and checks the name. Raises UnavailableError."""
        ca = _read(self._ca_file, MAX_CA_BYTES)
        if self._context is None or ca != self._ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.set_alpn_protocols(["http/1.1"])
            try:
                context.load_verify_locations(cadata=ca.decode("ascii"))
            except (ValueError, ssl.SSLError) as error:
                raise UnavailableError(f"{self._ca_file} holds no PEM certificates") from error
            self._ca, self._context = ca, context
        return self._context


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > most:
        raise UnavailableError(f"{path} has more than {most} bytes")
    return content
