"""The one task that writes to a tunnel's transport."""

from collections.abc import Callable
from typing import Any, Final

import trio

from relay.mux import Session

WRITE_BYTES: Final = 128 * 1024
"""What one write takes at most: eight TLS records; more would make a small frame wait behind bulk for longer."""


class FrameWriter:
    """Sends what a session has queued: all frames of one pass of the scheduler leave in one write.

    Nobody else writes, and whoever queues frames is never the one who sends them: cancelling it cuts no frame.
    """

    __slots__ = ("_on_room", "_on_sent", "_parked", "_session", "_stopping", "_transport")

    def __init__(
        self, session: Session, transport: trio.abc.Stream, *, on_room: Callable[[], None], on_sent: Callable[[], None]
    ) -> None:
        """`on_room` is called once frames have left their queues, `on_sent` once the transport has taken them."""
        self._session = session
        self._transport = transport
        self._on_room = on_room
        self._on_sent = on_sent
        self._parked: trio.lowlevel.Task | None = None
        self._stopping = False

    def wake(self) -> None:
        """Has queued frames leave in the next pass of the scheduler."""
        if self._parked is not None and self._session.has_bytes_to_send:
            self._unpark()

    def stop(self) -> None:
        """Has `run` return once nothing is left that can leave."""
        self._stopping = True
        if self._parked is not None:
            self._unpark()

    async def run(self) -> None:
        """Writes until `stop`. Raises what the transport raises."""
        session, send_all = self._session, self._transport.send_all
        while True:
            data = session.bytes_to_send(WRITE_BYTES)
            if data:
                self._on_room()
                await send_all(data)
                self._on_sent()
            elif self._stopping:
                return
            else:
                self._parked = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _unpark(self) -> None:
        task, self._parked = self._parked, None
        assert task is not None  # noqa: S101 - both callers have looked
        trio.lowlevel.reschedule(task)

    def _abort(self, _: Any) -> trio.lowlevel.Abort:
        self._parked = None
        return trio.lowlevel.Abort.SUCCEEDED
