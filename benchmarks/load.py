"""The load generators: wrk for requests on kept-alive connections, h2load for new connections, curl for bulk."""

import json
import re
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import LOOPBACK, BenchmarkError
from benchmarks.visit import Visit

SCRIPT = Path(__file__).with_name("wrk.lua")
H2LOAD_FINISHED = re.compile(r"^finished in ([0-9.]+)(us|ms|s|m),", re.MULTILINE)
H2LOAD_ANSWERED = re.compile(r"^status codes: ([0-9]+) 2xx", re.MULTILINE)
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
LOG_CHARACTERS = 500
TIMED_OUT = 28
"""curl's exit code when --max-time ended a transfer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What wrk saw in one run; latencies are from request to whole answer, closed loop."""

    requests: int
    """Answered, whatever the status."""
    seconds: float
    p50_microseconds: float
    p99_microseconds: float
    p999_microseconds: float
    failed: int = 0
    """Connections, reads, writes and timeouts that failed, and answers with a status above 399."""

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What curl moved in one run."""

    size_bytes: int
    seconds: float

    @property
    def megabytes_per_second(self) -> float:
        """10^6 bytes per second."""
        return self.size_bytes / self.seconds / 1e6


def wrk_command(visit: Visit, *, connections: int, seconds: int) -> list[str]:
    """One thread, so that it fits one core."""
    return [
        *("wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"),
        *("--timeout", "10s", "--script", str(SCRIPT), *visit.header_arguments, visit.url),
    ]


def parse_wrk(output: str, *, may_fail: float = 0.0) -> Answers:
    """Reads the line that wrk.lua prints.

    Raises:
        BenchmarkError: there is none, or a larger share of requests than `may_fail` failed: such a run is no figure.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise BenchmarkError(f"wrk printed no result: {output.strip()}")
    values: dict[str, int] = json.loads(lines[-1])
    if not values["requests"] or values["failed"] > may_fail * values["requests"]:
        raise BenchmarkError(f"{values['failed']} requests failed beside {values['requests']} that wrk counted")
    return Answers(
        requests=values["requests"],
        seconds=values["duration"] / 1e6,
        p50_microseconds=float(values["p50"]),
        p99_microseconds=float(values["p99"]),
        p999_microseconds=float(values["p999"]),
        failed=values["failed"],
    )


def h2load_command(visit: Visit, *, requests: int, connections: int) -> list[str]:
    """HTTP/1.1, a new connection for each request, some of them at a time."""
    return [
        *("h2load", "--h1", "--threads", "1", "--requests", str(requests), "--clients", str(connections)),
        *(f"--connect-to={LOOPBACK}:{visit.port}", "-H", "Connection: close", *visit.header_arguments, visit.url),
    ]


def parse_h2load(output: str, *, requests: int) -> dict[str, float]:
    """`connections` and `seconds`. Raises BenchmarkError unless all requests were answered, with 2xx."""
    finished = H2LOAD_FINISHED.search(output)
    answered = H2LOAD_ANSWERED.search(output)
    if finished is None or answered is None:
        raise BenchmarkError(f"h2load printed no result: {output.strip()[-LOG_CHARACTERS:]}")
    if int(answered[1]) != requests:
        raise BenchmarkError(f"{requests - int(answered[1])} of {requests} requests failed")
    return {"connections": requests, "seconds": float(finished[1]) * UNITS[finished[2]]}


def download_command(visit: Visit, *, max_seconds: int | None = None) -> list[str]:
    """Fetches the URL and throws the body away; with `max_seconds` it stops then, wherever it is."""
    limit = () if max_seconds is None else ("--max-time", str(max_seconds))
    return [*_curl(visit), *limit, visit.url]


def upload_command(visit: Visit, file: Path) -> list[str]:
    """Posts a file, without waiting for a 100."""
    return [*_curl(visit), "--request", "POST", "--upload-file", str(file), "-H", "Expect:", visit.url]


def parse_curl(output: str) -> Transfer:
    """Reads what --write-out '%{json}' prints. Raises BenchmarkError for any answer but 200."""
    values: dict[str, Any] = json.loads(output)
    if values["http_code"] != 200:  # noqa: PLR2004 - HTTP status
        raise BenchmarkError(f"curl got status {values['http_code']}: {values.get('errormsg')}")
    size = int(values["size_download"]) + int(values["size_upload"])
    return Transfer(size_bytes=size, seconds=float(values["time_total"]))


def children_seconds() -> float:
    """CPU seconds of the children that have ended: load generators, as all else runs on through a measurement."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _curl(visit: Visit) -> Sequence[str]:
    trust = () if visit.ca_file is None else ("--cacert", str(visit.ca_file))
    proxy: tuple[str, ...] = ()
    if (by := visit.proxy) is not None:
        proxy = ("--proxytunnel", "--proxy", by.url, "--resolve", f"{by.host}:{by.port}:{LOOPBACK}")
        proxy += () if by.ca_file is None else ("--proxy-cacert", str(by.ca_file))
        proxy += tuple(part for name, value in by.headers for part in ("--proxy-header", f"{name}: {value}"))
    return [
        *("curl", "--silent", "--show-error", "--fail", "--output", "/dev/null", "--write-out", "%{json}"),
        "--http1.1",  # some peers would offer HTTP/2, which is another thing to measure
        *("--resolve", f"{visit.host}:{visit.port}:{LOOPBACK}", *trust, *visit.header_arguments),
        *proxy,
    ]
