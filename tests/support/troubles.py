"""Switches that make the calls of a fake server fail: answers of all kinds, answers that never come."""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

ReplyT = TypeVar("ReplyT")


class Asked(Protocol):
    """What the switches see of a call."""

    @property
    def method(self) -> str:
        """In upper case."""

    @property
    def path(self) -> str:
        """Without the query."""


@dataclass(slots=True)
class Trouble(Generic[ReplyT]):
    """What happens to calls that match."""

    answer: Callable[[], ReplyT] | None
    """None: there is none."""
    times: int | None
    path: re.Pattern[str] | None
    method: str | None
    after: bool
    """Whether the call takes effect before it fails: its answer alone is lost."""
    hang: bool = False
    hits: int = 0


class Switches(Generic[ReplyT]):
    """The switches of one fake.

    Each takes `times` (how many calls; None: until `clear`), `path` (a regular expression searched in the path),
    `method`, and `after` (the call takes effect and only then fails). Earlier switches come first.
    """

    path_flags: ClassVar[re.RegexFlag] = re.NOFLAG

    def __init__(self) -> None:
        self._active: list[Trouble[ReplyT]] = []
        self._lock = threading.Lock()
        self.released = threading.Event()
        """Set: hanging calls end."""

    def hang(
        self, *, times: int | None = 1, path: str | None = None, method: str | None = None, after: bool = False
    ) -> Trouble[ReplyT]:
        """No answer until `release` or the end of the fake; then the connection ends."""
        return self.add(None, times=times, path=path, method=method, after=after, hang=True)

    def drop(
        self, *, times: int | None = 1, path: str | None = None, method: str | None = None, after: bool = False
    ) -> Trouble[ReplyT]:
        """The connection ends without an answer."""
        return self.add(None, times=times, path=path, method=method, after=after)

    def clear(self) -> None:
        """Switches everything off, and ends what hangs."""
        with self._lock:
            self._active.clear()
        self.release()

    def release(self) -> None:
        """Ends the calls that hang; later ones hang again."""
        released, self.released = self.released, threading.Event()
        released.set()

    def take(self, request: Asked) -> Trouble[ReplyT] | None:
        """The trouble that this call gets into."""
        with self._lock:
            for trouble in self._active:
                if not self._matches(trouble, request):
                    continue
                trouble.hits += 1
                if trouble.times is not None and trouble.hits >= trouble.times:
                    self._active.remove(trouble)
                return trouble
        return None

    def add(
        self,
        answer: Callable[[], ReplyT] | None,
        *,
        times: int | None,
        path: str | None,
        method: str | None,
        after: bool = False,
        hang: bool = False,
    ) -> Trouble[ReplyT]:
        """One more switch, behind those there are."""
        pattern = None if path is None else re.compile(path, self.path_flags)
        trouble = Trouble(answer, times, pattern, method, after, hang=hang)
        with self._lock:
            self._active.append(trouble)
        return trouble

    def is_spared(self, path: str) -> bool:  # noqa: ARG002 - for fakes that spare some
        """Whether switches without a path of their own leave this one alone."""
        return False

    def _matches(self, trouble: Trouble[ReplyT], request: Asked) -> bool:
        if trouble.method not in {None, request.method}:
            return False
        if trouble.path is None:
            return not self.is_spared(request.path)
        return trouble.path.search(request.path) is not None
