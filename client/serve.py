"""Serving one stream: dial its target within the policy, answer, and copy until both sides have finished."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

import structlog
import trio

from client.status import Metrics
from client.targets import DIAL_SECONDS, DialError, Dialler
from relay.mux.codes import ResetCode
from relay.transport import MuxStream, copy_both_ways

MAX_DIALS = 128
"""Dials at once. Look-ups run in threads and a dial to a dead address holds its place for seconds, so a burst at one
dead target must neither start a thread each nor keep out every other target for long."""

KIND = "tcp"
"""Kind of the streams that are dialled for and copied."""

ServeStream = Callable[[MuxStream], Awaitable[None]]
"""Serves one stream to its end; never raises for what its peers do."""
NO_OTHERS: Final[Mapping[str, ServeStream]] = MappingProxyType({})

log = structlog.get_logger("agent")


class StreamServer:
    """Serves the streams of all tunnels of one agent."""

    def __init__(self, dialler: Dialler, metrics: Metrics, *, others: Mapping[str, ServeStream] = NO_OTHERS) -> None:
        """`others` serve streams of other kinds than `tcp`."""
        self._dialler = dialler
        self._others = others
        self._metrics = metrics
        self._dials = trio.Semaphore(MAX_DIALS)

    async def serve(self, stream: MuxStream) -> None:
        """Serves one stream to its end; never raises."""
        with self._metrics.streams_open.track_inprogress():
            try:
                await (self._serve_tcp if stream.kind == KIND else self._serve_other)(stream)
            except Exception:  # the boundary between one stream and all others of the agent
                log.exception("stream failed", kind=stream.kind)
                stream.reset(ResetCode.INTERNAL, "the agent failed")

    async def _serve_tcp(self, stream: MuxStream) -> None:
        try:
            target = await self._dial(stream)
        except DialError as error:
            self._metrics.dials.labels(error.wire_code.name.lower()).inc()
            log.info("dial failed", host=stream.host, port=stream.port, code=error.wire_code.name, reason=str(error))
            stream.reset(error.wire_code, str(error))
            return
        self._metrics.dials.labels("ok").inc()
        stream.accept()
        sent, received = await copy_both_ways(stream, target)
        self._metrics.bytes.labels("to_target").inc(sent)
        self._metrics.bytes.labels("from_target").inc(received)

    async def _serve_other(self, stream: MuxStream) -> None:
        serve = self._others.get(stream.kind)
        if serve is not None:
            await serve(stream)
            return
        code, reason = ResetCode.NOT_ALLOWED, f"this agent does not serve streams of kind {stream.kind!r}"
        self._metrics.dials.labels(code.name.lower()).inc()
        log.info("stream refused", kind=stream.kind, reason=reason)
        stream.reset(code, reason)

    async def _dial(self, stream: MuxStream) -> trio.abc.HalfCloseableStream:
        with trio.move_on_after(DIAL_SECONDS) as waiting:
            await self._dials.acquire()
        if waiting.cancelled_caught:
            raise DialError("the agent is dialling too many targets that do not answer", wire_code=ResetCode.LIMIT)
        try:
            return await self._dialler.dial(stream.host, stream.port)
        finally:
            self._dials.release()
