"""Server TLS contexts, and one that follows its certificate files as they are rotated."""

import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509

from certs.authority import CertificateError

TUNNEL_ALPN = "signadot-tunnel/1"
"""ALPN protocol of agents' tunnels."""
HTTP_ALPN = "http/1.1"
"""ALPN protocol of visitors, API clients and WebSocket tunnels (RFC 7301, 6)."""

Stamp = tuple[int, int, int, int, int] | None
"""What tells one content of a file from another without reading it; None while there is no such file."""


def server_context(certificate: Path, key: Path, *, alpn: Sequence[str] = (TUNNEL_ALPN, HTTP_ALPN)) -> ssl.SSLContext:
    """A context for the accepting side: TLS 1.2 or newer, `alpn` in order of preference.

    Each accepted `ssl.SSLSocket` gets the attribute `server_name`: the name the client asked for (SNI, RFC 6066, 3),
    lower case, or None.

    Raises:
        CertificateError: a file cannot be read, or key and certificate do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(alpn))
    # Renegotiation lets a client make the server work for nothing; nobody needs it (RFC 9325, 3.5).
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # One ticket is enough for a browser to resume; two, the default, cost memory for each connection held.
    context.num_tickets = 1
    context.sni_callback = _record_server_name
    try:
        # An encrypted key would make OpenSSL ask on the terminal; with an empty password it fails instead.
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        raise CertificateError(_explain(certificate, key, error)) from error
    return context


class ReloadingContext:
    """The context of a pair of files that others rewrite: cert-manager, ACME clients, a person with `cp`.

    `context()` is for each new connection. `refresh()` is called now and then (a few seconds apart) and looks whether
    the files changed; it costs two `stat` calls when they did not. Connections that are open keep the context they were
    made with, so a rotation never drops one. A broken pair is not used: the old context stays, and `problem` says why.

    Raises:
        CertificateError: at construction, when there is nothing good to start with.
    """

    def __init__(self, certificate: Path, key: Path, *, alpn: Sequence[str] = (TUNNEL_ALPN, HTTP_ALPN)) -> None:
        self._certificate = certificate
        self._key = key
        self._alpn = tuple(alpn)
        self._seen = self._stamps()
        self._context = server_context(certificate, key, alpn=alpn)
        self._expires_at = _expiry(certificate)
        self._problem: str | None = None

    def context(self) -> ssl.SSLContext:
        """The context of the newest good pair."""
        return self._context

    @property
    def problem(self) -> str | None:
        """Why the files as they are now are not in use: one sentence, or None when they are."""
        return self._problem

    @property
    def expires_at(self) -> float:
        """When the certificate in use runs out (epoch seconds)."""
        return self._expires_at

    def refresh(self) -> bool:
        """Looks at the files; True when a new pair is in use from now on. Never raises for what stands in them."""
        # Stamps are taken before reading: a write that comes in between is seen as a change at the next call.
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            context = server_context(self._certificate, self._key, alpn=self._alpn)
            expires_at = _expiry(self._certificate)
        except CertificateError as error:
            self._problem = f"{error}; the certificate loaded before stays in use"
            return False
        self._context, self._expires_at, self._problem = context, expires_at, None
        return True

    def _stamps(self) -> tuple[Stamp, Stamp]:
        return _stamp(self._certificate), _stamp(self._key)


def _record_server_name(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    # The ssl module has no public way to read the name later; an attribute keeps it with the connection it belongs to.
    connection.server_name = name.lower() if name is not None else None  # type: ignore[union-attr]


def _stamp(path: Path) -> Stamp:
    # stat follows symbolic links, so the swap of a Kubernetes `..data` link shows as another inode.
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _expiry(certificate: Path) -> float:
    try:
        return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError) as error:
        raise CertificateError(f"cannot read the certificate {certificate}: {error}") from error


def _explain(certificate: Path, key: Path, error: Exception) -> str:
    for path in (certificate, key):
        if not os.access(path, os.R_OK):
            return f"cannot read {path}: {'permission denied' if path.exists() else 'no such file'}"
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"{key} is not the key of {certificate}"
    return f"cannot use the certificate {certificate} with the key {key}: {reason or error}"
