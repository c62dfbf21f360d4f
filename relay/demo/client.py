"""A visitor of the demo's own: one request per connection over real TLS, with the demo's CA."""

import json
import ssl
from pathlib import Path
from typing import Any

import trio

from relay.errors import BadResponseError, RelayError, UnauthenticatedError
from relay.http1 import BodyReader, HeadLimits, read_response_head
from relay.transport import connect_tls

TIMEOUT_SECONDS = 10.0
READ_BYTES = 65536


class DemoClient:
    """Talks to the relay on this machine."""

    def __init__(self, *, port: int, ca_file: Path, api_key: str) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=str(ca_file))
        self._context.set_alpn_protocols(["http/1.1"])
        self._api_key = api_key

    async def request(self, method: str, host: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Sends one request; gives status and body. Raises RelayError or OSError."""
        try:
            return await self._request(method, host, target, body)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise BadResponseError(f"{host} broke the connection off: {error}", reason="broken") from error

    async def _request(self, method: str, host: str, target: str, body: bytes) -> tuple[int, bytes]:
        stream = await connect_tls(
            host, self._port, context=self._context, server_hostname=host, timeout_seconds=TIMEOUT_SECONDS
        )
        async with stream:
            await stream.send_all(
                f"{method} {target} HTTP/1.1\r\nhost: {host}:{self._port}\r\nsignadot-api-key: {self._api_key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
                + body
            )
            buffer = bytearray()
            while (parsed := read_response_head(buffer, request_method=method.encode())) is None:
                data = await stream.receive_some(READ_BYTES)
                if not data:
                    raise BadResponseError(f"{host} closed the connection without an answer.", reason="closed")
                buffer += data
            head, consumed = parsed
            reader = BodyReader(head.framing, HeadLimits())
            answer = bytearray(reader.feed(bytes(buffer[consumed:])))
            while not reader.done:
                data = await stream.receive_some(READ_BYTES)
                answer += reader.feed(data) if data else b""
                if not data:
                    reader.eof()
            return head.status, bytes(answer)

    async def api(self, method: str, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """Calls the API with a JSON body; gives the JSON answer. Raises RelayError with the API's own sentence."""
        status, answer = await self.request(method, "api.localhost", "/api/v2" + path, json.dumps(value).encode())
        parsed: dict[str, Any] = json.loads(answer)
        if status == 401:  # noqa: PLR2004 - HTTP status
            raise UnauthenticatedError(parsed["error"])
        if status >= 400:  # noqa: PLR2004 - HTTP status
            raise RelayError(f"{method} {path}: {parsed['error']}")
        return parsed
