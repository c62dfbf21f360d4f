"""What operators see: structured logs on standard error, the access log, and the figures behind /metrics.

The hot path only appends a tuple and adds to plain integers; rendering happens in one task, many lines at a time,
and at scrape time. Prometheus' own counters take a lock per increment, structlog builds a dictionary per line:
together they cost as much as reading a request's head.
"""

import select
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, TextIO

import structlog
import trio
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

# Upper bounds in seconds: a preview on the same continent answers in 5 to 500 ms; beyond 60 s the limits end it.
LATENCY_BOUNDS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
FLUSH_SECONDS = 0.25  # how much of the access log a kill -9 may cost; long enough that a busy relay writes in batches
MAX_PENDING_LINES = 64  # at more the log is written at once: rendering them takes 0.2 ms, which nobody notices


class AccessRecord(NamedTuple):
    """One finished exchange. Times in seconds, sizes in bytes of body.

    `path` is what the visitor asked for, without query (which may carry secrets) or CONNECT target.
    """

    at: float
    request_id: str
    peer: str
    method: str
    path: str
    status: int
    code: str
    received_bytes: int
    sent_bytes: int
    duration_seconds: float
    context: str
    """Of `access_context`."""


def access_context(
    *, host: str = "", org: str = "", cluster: str = "", workspace: str = "", credential: str = ""
) -> str:
    """Members of an access log line that many exchanges share, made once for all of them.

    `host` is what the visitor asked for; org, cluster, workspace and credential are opaque ids, because their names
    rest sealed in the database and more people read logs.
    """
    return (
        f'"host": {encode_basestring_ascii(host)}, "org": "{org}", "cluster": "{cluster}", '
        f'"workspace": "{workspace}", "credential": "{credential}"'
    )


class Telemetry:
    """Counts and logs for one process."""

    def __init__(self, *, output: TextIO | None = None, shares_output: bool = False) -> None:
        """`shares_output`: other processes write there too, so that each write must be whole lines at once."""
        self.requests: Counter[tuple[str, int]] = Counter()
        """Finished exchanges by kind (preview, api, app, connect, ...) and status."""
        self.refused_heads: Counter[str] = Counter()
        """Request heads refused by the strict reader, by reason."""
        self.refused_connections: Counter[str] = Counter()
        """Connections that ended before a request, by reason (TLS handshake, limits)."""
        self.received_bytes = 0
        self.sent_bytes = 0
        self.lost_lines = 0
        """Access log lines that could not be written."""
        self._latency_counts = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
        self._latency_sum = 0.0
        self._pending: list[AccessRecord] = []
        self._output = output if output is not None else sys.stderr
        self._shares_output = shares_output
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []
        self._counters: list[tuple[str, str, Callable[[], float]]] = []

    def exchange(self, kind: str, record: AccessRecord) -> None:
        """Counts a finished exchange and keeps its access log line for the next flush."""
        self.requests[kind, record.status] += 1
        self.received_bytes += record.received_bytes
        self.sent_bytes += record.sent_bytes
        self._latency_counts[bisect_left(LATENCY_BOUNDS_SECONDS, record.duration_seconds)] += 1
        self._latency_sum += record.duration_seconds
        self._pending.append(record)
        if len(self._pending) >= MAX_PENDING_LINES:
            self.flush()

    def flush(self) -> None:
        """Writes the access log lines that are waiting, in one write."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        lines = [_access_line(record) for record in pending]
        try:
            for text in _writes(lines) if self._shares_output else ("".join(lines),):
                self._output.write(text)
                self._output.flush()
        except (OSError, ValueError):  # a full disk or a closed pipe; serving goes on, and the figure says so
            self.lost_lines += len(pending)

    async def run(self) -> None:
        """Flushes the access log for ever; the last lines leave when it is cancelled."""
        try:
            while True:
                await trio.sleep(FLUSH_SECONDS)
                self.flush()
        finally:
            self.flush()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Adds a value that goes up and down and is read at scrape time."""
        self._gauges.append((name, text, read))

    def counter(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Adds a value that only grows and is read at scrape time."""
        self._counters.append((name, text, read))

    def exposition(self) -> bytes:
        """The Prometheus text format of all figures."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot(self))
        return generate_latest(registry)

    def families(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        """All metric families with their present values."""
        requests = CounterMetricFamily(
            "signadot_requests", "Finished exchanges by kind and status.", labels=["kind", "status"]
        )
        for (kind, status), count in self.requests.items():
            requests.add_metric([kind, str(status)], count)
        yield requests
        yield _by_reason("signadot_refused_heads", "Request heads refused, by reason.", self.refused_heads)
        yield _by_reason("signadot_refused_connections", "Connections refused, by reason.", self.refused_connections)
        yield CounterMetricFamily("signadot_received_bytes", "Request body bytes.", value=self.received_bytes)
        yield CounterMetricFamily("signadot_sent_bytes", "Response body bytes.", value=self.sent_bytes)
        yield CounterMetricFamily(
            "signadot_lost_log_lines", "Access log lines that could not be written.", value=self.lost_lines
        )
        yield self._latency_family()
        for name, text, read in self._counters:
            yield CounterMetricFamily(name, text, value=read())
        for name, text, read in self._gauges:
            yield GaugeMetricFamily(name, text, value=read())

    def _latency_family(self) -> HistogramMetricFamily:
        buckets: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip((*LATENCY_BOUNDS_SECONDS, float("inf")), self._latency_counts, strict=True):
            total += count
            buckets.append(("+Inf" if bound == float("inf") else str(bound), total))
        return HistogramMetricFamily(
            "signadot_request_seconds", "Time from a request's head to its answer's end.", buckets, self._latency_sum
        )


class _Snapshot(Collector):
    """Adapts `Telemetry` to the registry that prometheus-client renders."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]:
        return self._telemetry.families()


def _writes(lines: Iterable[str]) -> Iterable[str]:
    """Lines in pieces that a pipe takes as one: a longer write may be mixed with another process' (pipe(7))."""
    piece: list[str] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > select.PIPE_BUF:  # lines are ASCII
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    yield "".join(piece)


def _by_reason(name: str, text: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["reason"])
    for reason, count in counts.items():
        family.add_metric([reason], count)
    return family


def _access_line(record: AccessRecord) -> str:
    """One line of JSON. Only what comes from outside needs escaping; the rest is numbers and ids of our own."""
    quote = encode_basestring_ascii
    (at, request_id, peer, method, path, status, code, received_bytes, sent_bytes, duration_seconds, context) = record
    return (
        f'{{"event": "access", "at": {at:.6f}, "request_id": "{request_id}", "peer": "{peer}", '
        f'"method": {quote(method)}, "path": {quote(path)}, "status": {status}, "code": "{code}", '
        f'"received_bytes": {received_bytes}, "sent_bytes": {sent_bytes}, '
        f'"duration_seconds": {duration_seconds:.6f}, {context}}}\n'
    )


def configure_logging(*, level: str = "info") -> None:
    """Sends structlog to standard error as one JSON object per line. `level`: debug, info, warning or error."""
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
