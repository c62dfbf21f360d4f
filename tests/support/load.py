"""A steady load from threads: what visitors meet while something happens to the relay."""

import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.https import ClosedError, Connection
from tests.support.site import Site

Ask = Callable[[], int]
"""Sends one request and gives the status of its answer."""


class Load:
    """Calls each of `asks` again and again, each in a thread of its own, for the time of the block."""

    def __init__(self, *asks: Ask) -> None:
        self.statuses: Counter[int] = Counter()
        """How often each status came; 0 stands for an answer that did not come."""
        self.problems: list[str] = []
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._asks = asks
        self._threads = [threading.Thread(target=self._run, args=(ask,), daemon=True) for ask in asks]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        for ask in self._asks:
            if isinstance(ask, Visits):
                ask.close()

    def wait_for_more(self, count: int, *, status: int = 200, seconds: float = 60) -> None:
        """Waits until `count` further answers with a status came. Raises AssertionError."""
        with self._changed:
            wanted = self.statuses[status] + count
            if not self._changed.wait_for(lambda: self.statuses[status] >= wanted, seconds):
                raise AssertionError(f"no {count} further answers {status}: {self.statuses}, {self.problems[-3:]}")

    def _run(self, ask: Ask) -> None:
        while not self._over.is_set():
            try:
                status, problem = ask(), ""
            except (ClosedError, OSError) as error:
                status, problem = 0, str(error)
            with self._changed:
                self.statuses[status] += 1
                if problem:
                    self.problems.append(problem)
                self._changed.notify_all()


class Visits:
    """GETs of a preview on one connection that is kept, until the relay says that it closes it; then on the next."""

    def __init__(self, site: Site, host: str, target: str = "/") -> None:
        self._site, self._host, self._target = site, host, target
        self._connection: Connection | None = site.connect(host)

    def __call__(self) -> int:
        """One request; gives the status of its answer."""
        if self._connection is None:
            self._connection = self._site.connect(self._host)
        authority = self._site.authority(self._host)
        answer = self._connection.request("GET", self._target, authority, headers=[self._site.key_header])
        if answer.header("connection") == "close":
            self.close()
        return answer.status

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def calls(site: Site, path: str) -> Ask:
    """GETs of the API, a connection each."""
    return lambda: site.call("GET", path).status
