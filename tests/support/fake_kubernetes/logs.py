"""What containers wrote, and how it is read: GET .../pods/NAME/log."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.support.fake_kubernetes.kinds import PODS
from tests.support.fake_kubernetes.values import nano_timestamp, seconds_of
from tests.support.fake_kubernetes.wire import Object, Reply, Request, bad_request

MOST_BYTES = 10 << 20
"""Of one container; a kubelet rotates at the same size."""
POLL_SECONDS = 0.05
AT_ONCE_BYTES = 64 << 10
"""About what goes out in one chunk, so that a follower that does not read costs no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a container."""

    number: int
    time: float
    text: bytes
    """With its end, if it has one."""


@dataclass(slots=True)
class ContainerLog:
    """The lines of one container of one pod."""

    lines: deque[Line] = field(default_factory=deque)
    next_number: int = 0
    size_bytes: int = 0
    ended: bool = False
    """Whether nothing comes any more: followers are done then."""

    def append(self, text: bytes, now: float) -> None:
        """Adds a line; the oldest go when it becomes too much."""
        self.lines.append(Line(number=self.next_number, time=now, text=text))
        self.next_number += 1
        self.size_bytes += len(text)
        while self.size_bytes > MOST_BYTES:
            self.size_bytes -= len(self.lines.popleft().text)

    def after(self, number: int) -> Iterator[Line]:
        """Lines from a number on; what is gone already is left out."""
        first = self.lines[0].number if self.lines else self.next_number
        for index in range(max(number - first, 0), len(self.lines)):
            yield self.lines[index]


class Logs:
    """All logs, by the uid of the pod: one of the same name that comes later starts anew."""

    def __init__(self, changed: threading.Condition, now: Callable[[], float]) -> None:
        self._changed = changed
        self._now = now
        self._logs: dict[tuple[str, str], ContainerLog] = {}

    def append(self, pod: Object, container: str, *lines: str | bytes, at: float | None = None) -> None:
        """A container writes lines; a text that does not end in a line feed gets one, bytes are as they are."""
        with self._changed:
            log = self._log(pod, container)
            for line in lines:
                text = line if isinstance(line, bytes) else line.removesuffix("\n").encode() + b"\n"
                log.append(text, self._now() if at is None else at)
            self._changed.notify_all()

    def end(self, uid: str, container: str | None = None) -> None:
        """A container has ended, or all of a pod."""
        with self._changed:
            for (pod, name), log in self._logs.items():
                if pod == uid and container in {None, name}:
                    log.ended = True
            self._changed.notify_all()

    def begin(self, pod: Object, container: str) -> None:
        """A container starts: what it wrote before a restart is not its log any more."""
        with self._changed:
            self._logs[pod["metadata"]["uid"], container] = ContainerLog()

    def reply(self, pod: Object, request: Request) -> Reply:
        """The answer to a request for a log. Raises Refusal."""
        wanted = _Wanted.of(pod, request, self._now())
        _require_started(pod, wanted.container)
        log = self._log(pod, wanted.container)
        number = wanted.first(log)
        headers = {"content-type": "text/plain"}
        if wanted.follow:
            return Reply(body=_bounded(self._follow(log, number, wanted), wanted.limit_bytes), headers=headers)
        text = b"".join(wanted.shown(line) for line in log.after(number))
        return Reply(body=text if wanted.limit_bytes is None else text[: wanted.limit_bytes], headers=headers)

    def _log(self, pod: Object, container: str) -> ContainerLog:
        return self._logs.setdefault((pod["metadata"]["uid"], container), ContainerLog())

    def _follow(self, log: ContainerLog, number: int, wanted: "_Wanted") -> Iterator[bytes]:
        while True:
            with self._changed:
                self._wait(log, number)
                part = bytearray()
                for line in log.after(number):
                    part += wanted.shown(line)
                    number = line.number + 1
                    if len(part) >= AT_ONCE_BYTES:
                        break
                over = log.ended and number >= log.next_number
            yield bytes(part)
            if over:
                return

    def _wait(self, log: ContainerLog, number: int) -> None:
        self._changed.wait_for(lambda: log.ended or log.next_number > number, POLL_SECONDS)


def _bounded(parts: Iterator[bytes], limit: int | None) -> Iterator[bytes]:
    for part in parts:
        yield part if limit is None else part[:limit]
        if limit is not None:
            limit -= len(part)
            if limit <= 0:
                return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a request for a log says."""

    container: str
    follow: bool
    timestamps: bool
    tail: int | None
    since: float | None
    limit_bytes: int | None

    @classmethod
    def of(cls, pod: Object, request: Request, now: float) -> "_Wanted":
        query, since = request.query, request.number("sinceSeconds")
        name = pod["metadata"]["name"]
        if since is not None and query.get("sinceTime"):
            message = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            raise PODS.invalid(name, ("FieldValueForbidden", message, ""))
        from_time = None if since is None else now - since
        if text := query.get("sinceTime"):
            try:
                from_time = seconds_of(text)
            except ValueError as error:
                raise bad_request(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse') from error
        if request.flag("previous"):
            container = _container(pod, query.get("container", ""))
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return cls(
            container=_container(pod, query.get("container", "")),
            follow=request.flag("follow"),
            timestamps=request.flag("timestamps"),
            tail=request.number("tailLines"),
            since=from_time,
            limit_bytes=request.number("limitBytes"),
        )

    def first(self, log: ContainerLog) -> int:
        """The number of the first line to show."""
        numbers = [line.number for line in log.lines if self.since is None or line.time >= self.since]
        if self.tail is not None:
            numbers = numbers[len(numbers) - self.tail :] if self.tail < len(numbers) else numbers
        return numbers[0] if numbers else log.next_number

    def shown(self, line: Line) -> bytes:
        """A line as it is sent."""
        return (nano_timestamp(line.time).encode() + b" " if self.timestamps else b"") + line.text


def _container(pod: Object, wanted: str) -> str:
    names = [item["name"] for item in pod["spec"]["containers"]]
    name = pod["metadata"]["name"]
    if not wanted and len(names) > 1:
        choices = " ".join(names)
        raise bad_request(f"a container name must be specified for pod {name}, choose one of: [{choices}]")
    if wanted and wanted not in names:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted or str(names[0])


_WAITING = {
    "ImagePullBackOff": "trying and failing to pull image",
    "ErrImagePull": "image can't be pulled",
}


def _require_started(pod: Object, container: str) -> None:
    statuses = {item["name"]: item for item in pod.get("status", {}).get("containerStatuses") or ()}
    waiting = statuses.get(container, {}).get("state", {}).get("waiting")
    if container in statuses and (waiting is None or waiting["reason"] == "CrashLoopBackOff"):
        return
    reason = (waiting or {}).get("reason", "ContainerCreating")
    why = _WAITING.get(reason)
    told = f"is waiting to start: {why or reason}"
    raise bad_request(f'container "{container}" in pod "{pod["metadata"]["name"]}" {told}')
