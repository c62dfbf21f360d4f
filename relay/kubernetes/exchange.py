"""One request and its answer over a byte stream of its own."""

import json
from typing import Any, Self

import trio

from relay.errors import BadResponseError, RelayError
from relay.http1 import BodyReader, HeadLimits, ResponseHead, read_response_head
from relay.kubernetes.errors import BadAnswerError, UnavailableError, error_of

READ_BYTES = 65536
HEAD_LIMITS = HeadLimits()
MAX_ERROR_BYTES = 65536
"""Of an error's body: Status objects have some hundred bytes."""
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
"""Of one document: a page of 500 objects of the size that is usual (10 to 50 KB) and then some."""
OK = range(200, 300)


class Answer:
    """An answer whose head has been read. Iterating gives its body in pieces as they arrive, none empty."""

    def __init__(self, stream: trio.abc.ReceiveStream, head: ResponseHead, rest: bytes) -> None:
        self.head = head
        self._stream = stream
        self._reader = BodyReader(head.framing, HEAD_LIMITS, response=True)
        self._rest = rest

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.head.status

    @property
    def done(self) -> bool:
        """Whether the whole body has been given."""
        return self._reader.done

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Raises UnavailableError when the connection breaks, BadAnswerError when the framing is broken."""
        try:
            while not self._reader.done:
                data = self._rest or bytes(await self._stream.receive_some(READ_BYTES))
                self._rest = b""
                if not data:
                    self._reader.eof()
                elif body := self._reader.feed(data):
                    return body
        except BadResponseError as error:
            raise BadAnswerError(f"the API server's answer is malformed: {error}") from error
        except (OSError, trio.BrokenResourceError) as error:
            raise UnavailableError(f"the answer broke off: {error}") from error
        raise StopAsyncIteration

    async def read(self, most: int = MAX_DOCUMENT_BYTES) -> bytes:
        """The whole body. Raises BadAnswerError for more than `most` bytes."""
        body = bytearray()
        async for piece in self:
            body += piece
            if len(body) > most:
                raise BadAnswerError(f"the API server's answer has more than {most} bytes")
        return bytes(body)

    async def document(self) -> dict[str, Any]:
        """The body as a JSON object. Raises KubernetesError, by the status where it is none of 2xx."""
        await self.check()
        try:
            document = json.loads(await self.read())
        except (ValueError, RecursionError) as error:
            raise BadAnswerError("the API server's answer is not JSON") from error
        if not isinstance(document, dict):
            raise BadAnswerError("the API server's answer is not a JSON object")
        return document

    async def check(self) -> None:
        """Raises the error that the answer stands for, unless its status is 2xx."""
        if self.status not in OK:
            body = bytearray()
            async for piece in self:
                body += piece
                if len(body) > MAX_ERROR_BYTES:
                    break
            retry_after = (self.head.get(b"retry-after") or b"").decode("latin-1")
            raise error_of(self.status, bytes(body), retry_after=retry_after)


async def ask(stream: trio.abc.Stream, request: bytes, method: str) -> Answer:
    """Sends a request and reads the head of its answer.

    The stream is left to the caller, who closes it once the answer is of no more use.

    Raises:
        UnavailableError: the stream broke.
        BadAnswerError: what came is not HTTP as we accept it.
    """
    sending: Exception | None = None
    try:
        await stream.send_all(request)
    except (OSError, trio.BrokenResourceError) as error:
        sending = error  # a server may refuse before it has read the whole body: the answer may be here
    buffer = bytearray()
    try:
        while True:
            found = read_response_head(buffer, request_method=method.encode(), upgrade=None, limits=HEAD_LIMITS)
            if found is not None:
                head, length = found
                del buffer[:length]
                if not head.is_informational:
                    return Answer(stream, head, bytes(buffer))
                continue
            data = await stream.receive_some(READ_BYTES)
            if not data:
                raise UnavailableError("the connection was closed without an answer")
            buffer += data
    except BadResponseError as error:
        raise BadAnswerError(f"the API server's answer is malformed: {error}") from error
    except (OSError, trio.BrokenResourceError) as error:
        cause = sending or error
        # A reset of a stream has its reason from the other end.
        raise UnavailableError(str(cause) if isinstance(cause, RelayError) else f"it broke off: {cause}") from cause
