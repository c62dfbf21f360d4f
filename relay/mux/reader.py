"""Cuts received bytes into frames. DATA is handed on as it arrives; only headers and short payloads are kept."""

from typing import Protocol

from relay.mux.codes import FIRST_IGNORED_TYPE, FrameType
from relay.mux.frames import HEADER, HEADER_BYTES

_DATA = int(FrameType.DATA)
_unpack = HEADER.unpack
_unpack_from = HEADER.unpack_from


class FrameHandler(Protocol):
    """Where frames go. Every method may raise RemoteProtocolError."""

    def check_header(self, kind: int, stream_id: int, length: int) -> None:
        """A header arrived; refuses it if type, stream id or length is not allowed now."""

    def begin_data(self, stream_id: int, length: int) -> bool:
        """A DATA frame begins; False: its payload is to be skipped."""

    def data(self, stream_id: int, payload: memoryview) -> None:
        """The next bytes of a DATA frame, a part of what was fed: whoever keeps them copies them."""

    def frame(self, kind: int, stream_id: int, payload: bytes) -> None:
        """A frame of any other known type."""


class FrameReader:
    """State between two reads. Bounded: one header or one control payload, never DATA."""

    __slots__ = ("_data_left", "_data_stream", "_handler", "_partial", "_skip")

    def __init__(self) -> None:
        self._partial = bytearray()
        self._data_stream = 0
        self._data_left = 0
        self._skip = False

    def feed(self, view: memoryview, handler: FrameHandler) -> None:
        """Hands every frame in `view` to `handler`; copies all but DATA."""
        at, end = 0, len(view)
        while at < end:
            if self._data_left:
                at = self._continue_data(view, at, handler)
            elif self._partial or end - at < HEADER_BYTES:
                at = self._complete(view, at, handler)
            else:
                word, stream_id = _unpack_from(view, at)
                kind, length = word & 0xFF, word >> 8
                after = at + HEADER_BYTES + length
                if kind == _DATA or kind >= FIRST_IGNORED_TYPE or after > end:
                    at = self._begin(view, at, handler)
                else:
                    handler.check_header(kind, stream_id, length)
                    handler.frame(kind, stream_id, bytes(view[at + HEADER_BYTES : after]))
                    at = after

    def _begin(self, view: memoryview, at: int, handler: FrameHandler) -> int:
        """A frame that is not handed on whole: DATA, an extension, or a control frame cut off by the read's end."""
        word, stream_id = _unpack_from(view, at)
        kind, length = word & 0xFF, word >> 8
        handler.check_header(kind, stream_id, length)
        if kind == _DATA or kind >= FIRST_IGNORED_TYPE:
            self._begin_payload(kind, stream_id, length, handler)
            return at + HEADER_BYTES
        self._partial += view[at:]
        return len(view)

    def _begin_payload(self, kind: int, stream_id: int, length: int, handler: FrameHandler) -> None:
        self._skip = kind != _DATA or not handler.begin_data(stream_id, length)
        self._data_stream = stream_id
        self._data_left = length

    def _continue_data(self, view: memoryview, at: int, handler: FrameHandler) -> int:
        stop = min(len(view), at + self._data_left)
        self._data_left -= stop - at
        if not self._skip:
            handler.data(self._data_stream, view[at:stop])
        return stop

    def _complete(self, view: memoryview, at: int, handler: FrameHandler) -> int:
        """Adds to a header or control payload that an earlier read left incomplete."""
        partial = self._partial
        if len(partial) < HEADER_BYTES:
            stop = min(len(view), at + HEADER_BYTES - len(partial))
            partial += view[at:stop]
            if len(partial) < HEADER_BYTES:
                return stop
            at = stop
            word, stream_id = _unpack(partial)
            kind, length = word & 0xFF, word >> 8
            handler.check_header(kind, stream_id, length)
            if kind == _DATA or kind >= FIRST_IGNORED_TYPE:
                partial.clear()
                self._begin_payload(kind, stream_id, length, handler)
                return at
        word, stream_id = _unpack_from(partial)
        missing: int = (word >> 8) + HEADER_BYTES - len(partial)
        stop = min(len(view), at + missing)
        partial += view[at:stop]
        if stop - at == missing:
            payload = bytes(partial[HEADER_BYTES:])
            partial.clear()
            handler.frame(word & 0xFF, stream_id, payload)
        return stop
