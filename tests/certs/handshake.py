"""A TLS handshake in memory, with a client that verifies as strictly as Python does by default."""

import ssl
from collections.abc import Sequence
from pathlib import Path

from certs import Authority, Pair, server_context


def client_context(authority: Authority, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str | None) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after a handshake in memory; raises what the client's verification raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    waiting = [near, far]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    return near, far


def handshake(authority: Authority, pair: Pair, name: str, folder: Path) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    certificate, key = folder / "leaf.pem", folder / "leaf.key"
    pair.write(certificate, key)
    return shake(client_context(authority), server_context(certificate, key), name)
