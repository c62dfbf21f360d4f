"""The API server of the agent's cluster, asked over TLS with the ServiceAccount's token."""

import math
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from client.kubernetes.files import CredentialFiles
from client.kubernetes.settings import InCluster
from relay.kubernetes import Answer, ApiRequest, KubernetesClient, UnavailableError, ask
from relay.transport import TlsStream, connect_tls

CONNECT_SECONDS = 10.0
"""For TCP and TLS together: three lost SYNs (RFC 6298: 1, 2 and 4 s) and some."""
HEAD_SECONDS = 65.0
"""From the request until its answer begins: the API server itself gives up after 60 s."""
UNAUTHORIZED = 401


class KubeApi(KubernetesClient):
    """The API server. A request has a connection of its own, which ends with it.

    That costs a TLS handshake each, and buys that no request can be read as part of another one's connection, and that
    ending the connection is all it takes to end a watch. What is asked often is watched instead.
    """

    def __init__(self, cluster: InCluster) -> None:
        self._cluster = cluster
        self._files = CredentialFiles(cluster.token_file, cluster.ca_file)
        bracketed = f"[{cluster.host}]" if ":" in cluster.host else cluster.host
        self._host = f"{bracketed}:{cluster.port}"

    @property
    def namespace(self) -> str:
        """The agent's own."""
        return self._cluster.namespace

    @asynccontextmanager
    async def exchange(self, request: ApiRequest) -> AsyncIterator[Answer]:
        """See `KubernetesClient`. After 401 the token is read again, and a new one tried once."""
        token = self._files.token()
        stream, answer = await self._ask(request, token)
        try:
            if answer.status == UNAUTHORIZED and (renewed := self._files.token()) != token:
                await _close(stream)
                stream, answer = await self._ask(request, renewed)
            yield answer
        finally:
            await _close(stream)

    async def _ask(self, request: ApiRequest, token: str) -> tuple[TlsStream, Answer]:
        stream = await self._connect()
        try:
            headers = (("authorization", f"Bearer {token}"), ("connection", "close"))
            with trio.fail_after(math.inf if request.follows else HEAD_SECONDS):
                return stream, await ask(stream, request.encode(host=self._host, headers=headers), request.method)
        except trio.TooSlowError:
            await _close(stream)
            raise UnavailableError(f"the API server did not answer within {HEAD_SECONDS:g} s") from None
        except BaseException:
            await _close(stream)
            raise

    async def _connect(self) -> TlsStream:
        """Raises UnavailableError; where the certificate is not trusted, before anything but the handshake is sent."""
        context = self._files.context()
        try:
            return await connect_tls(
                self._cluster.host, self._cluster.port, context=context, timeout_seconds=CONNECT_SECONDS
            )
        except ssl.SSLCertVerificationError as error:
            raise UnavailableError(
                f"the API server's certificate is not trusted for {self._cluster.host}: {error.verify_message}"
            ) from error
        except OSError as error:
            raise UnavailableError(f"cannot reach the API server: {error.strerror or error}") from error


async def _close(stream: TlsStream) -> None:
    with trio.CancelScope(shield=True):
        await trio.aclose_forcefully(stream)
