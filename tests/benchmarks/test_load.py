import json
from pathlib import Path

import pytest

from benchmarks.load import (
    download_command,
    h2load_command,
    parse_curl,
    parse_h2load,
    parse_wrk,
    upload_command,
    wrk_command,
)
from benchmarks.processes import BenchmarkError
from benchmarks.visit import Visit

WRK_OUTPUT = """Running 2s test @ https://web--bench.preview.localhost:18999/small
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    23.33us  119.90us   4.18ms   99.73%
  328633 requests in 2.10s, 50.15MB read
Requests/sec: 156485.72
"""
VISIT = Visit(
    url="https://web--bench.preview.localhost:8443/small",
    headers=(("signadot-api-key", "sdk_x"),),
    ca_file=Path("ca.pem"),
)


def wrk_line(**changes: int) -> str:
    values = {"requests": 328633, "duration": 2_100_000, "p50": 19, "p99": 310, "p999": 2900, "max": 4180, "failed": 0}
    return WRK_OUTPUT + json.dumps(values | changes) + "\n"


def test_wrk_result_is_read_from_the_scripts_line() -> None:
    answers = parse_wrk(wrk_line())
    assert answers.requests == 328633
    assert answers.per_second == pytest.approx(156491.9, abs=0.1)
    assert (answers.p50_microseconds, answers.p99_microseconds, answers.p999_microseconds) == (19, 310, 2900)


@pytest.mark.parametrize("changes", [{"failed": 1}, {"requests": 0}])
def test_wrk_run_with_failures_is_no_figure(changes: dict[str, int]) -> None:
    with pytest.raises(BenchmarkError, match="failed"):
        parse_wrk(wrk_line(**changes))


def test_few_failures_are_counted_where_they_may_be() -> None:
    assert parse_wrk(wrk_line(failed=3286), may_fail=0.01).failed == 3286
    with pytest.raises(BenchmarkError, match="3287 requests failed"):
        parse_wrk(wrk_line(failed=3287), may_fail=0.01)


def test_wrk_output_without_the_line_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="no result"):
        parse_wrk("unable to connect to 127.0.0.1")


def test_wrk_is_asked_for_the_visits_headers_and_url() -> None:
    command = wrk_command(VISIT, connections=32, seconds=5)
    assert command[-3:] == ["-H", "signadot-api-key: sdk_x", VISIT.url]
    assert command[command.index("--connections") + 1] == "32"
    assert command[command.index("--duration") + 1] == "5s"


H2LOAD_OUTPUT = """
finished in 724.06ms, 1381.11 req/s, 0B/s
requests: 1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_h2load_opens_a_connection_for_each_request() -> None:
    command = h2load_command(VISIT, requests=1000, connections=32)
    assert "--h1" in command
    assert "Connection: close" in command
    assert "--connect-to=127.0.0.1:8443" in command
    assert command[-1] == VISIT.url


@pytest.mark.parametrize(("time", "seconds"), [("724.06ms", 0.72406), ("2.50s", 2.5), ("1.5m", 90), ("900us", 0.0009)])
def test_h2load_result_is_read_from_its_text(time: str, seconds: float) -> None:
    values = parse_h2load(H2LOAD_OUTPUT.replace("724.06ms", time), requests=1000)
    assert values == {"connections": 1000, "seconds": pytest.approx(seconds)}


def test_h2load_run_with_failures_is_no_figure() -> None:
    with pytest.raises(BenchmarkError, match="1 of 1000 requests failed"):
        parse_h2load(H2LOAD_OUTPUT.replace("1000 2xx", "999 2xx"), requests=1000)
    with pytest.raises(BenchmarkError, match="no result"):
        parse_h2load("unable to connect", requests=1)


def test_curl_sums_both_directions_over_the_whole_time() -> None:
    output = {"http_code": 200, "size_download": 12, "size_upload": 1_000_000, "time_total": 0.5}
    transfer = parse_curl(json.dumps(output))
    assert transfer.size_bytes == 1_000_012
    assert transfer.megabytes_per_second == pytest.approx(2.000024)


def test_curl_with_another_status_is_no_figure() -> None:
    with pytest.raises(BenchmarkError, match="503"):
        parse_curl(json.dumps({"http_code": 503, "size_download": 1, "size_upload": 0, "time_total": 0.5}))


def test_curl_never_looks_the_name_up() -> None:
    for command in (download_command(VISIT), upload_command(VISIT, Path("bulk"))):
        assert command[command.index("--resolve") + 1] == "web--bench.preview.localhost:8443:127.0.0.1"
        assert command[command.index("--cacert") + 1] == "ca.pem"


def test_curl_speaks_http_1_with_everybody() -> None:
    assert "--http1.1" in download_command(VISIT)
    assert "--http1.1" in upload_command(VISIT, Path("bulk"))


def test_upload_does_not_wait_for_a_100() -> None:
    assert "Expect:" in upload_command(VISIT, Path("bulk"))


def test_download_may_be_bounded_in_time() -> None:
    command = download_command(VISIT, max_seconds=7)
    assert command[command.index("--max-time") + 1] == "7"
    assert "--max-time" not in download_command(VISIT)
