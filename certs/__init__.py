"""Development certificate authority, leaf certificates, reload on rotation."""

from certs.authority import Authority, CertificateError, Pair
from certs.files import write_file
from certs.reload import HTTP_ALPN, TUNNEL_ALPN, ReloadingContext, server_context

__all__ = [
    "HTTP_ALPN",
    "TUNNEL_ALPN",
    "Authority",
    "CertificateError",
    "Pair",
    "ReloadingContext",
    "server_context",
    "write_file",
]
