"""Figures are exposed as Prometheus text, the access log as JSON lines."""

import json
from io import StringIO

from prometheus_client.parser import text_string_to_metric_families

from relay.telemetry import MAX_PENDING_LINES, AccessRecord, Telemetry, access_context


def record(status: int = 200, seconds: float = 0.004) -> AccessRecord:
    context = access_context(host="web--a.preview.test", org="o", cluster="c", workspace="w", credential="k")
    return AccessRecord(1.0, "r1", "192.0.2.7", "GET", "/", status, "", 3, 5, seconds, context)


def samples(telemetry: Telemetry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(telemetry.exposition().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_exchanges_are_counted_by_kind_and_status_with_their_bytes() -> None:
    telemetry = Telemetry(output=StringIO())
    for status in (200, 200, 503):
        telemetry.exchange("preview", record(status))
    found = samples(telemetry)
    assert found["signadot_requests_total", (("kind", "preview"), ("status", "200"))] == 2
    assert found["signadot_requests_total", (("kind", "preview"), ("status", "503"))] == 1
    assert found["signadot_received_bytes_total", ()] == 9
    assert found["signadot_sent_bytes_total", ()] == 15


def test_the_latency_histogram_is_cumulative() -> None:
    telemetry = Telemetry(output=StringIO())
    for seconds in (0.0009, 0.004, 0.005, 100.0):
        telemetry.exchange("preview", record(seconds=seconds))
    found = samples(telemetry)
    assert found["signadot_request_seconds_bucket", (("le", "0.001"),)] == 1
    assert found["signadot_request_seconds_bucket", (("le", "0.005"),)] == 3
    assert found["signadot_request_seconds_bucket", (("le", "+Inf"),)] == 4
    assert found["signadot_request_seconds_count", ()] == 4


def test_gauges_and_counters_are_read_at_scrape_time() -> None:
    telemetry = Telemetry(output=StringIO())
    value = 1.0
    telemetry.gauge("signadot_tunnels", "Live tunnels.", lambda: value)
    telemetry.counter("signadot_things", "Things.", lambda: value)
    value = 7.0
    found = samples(telemetry)
    assert found["signadot_tunnels", ()] == 7
    assert found["signadot_things_total", ()] == 7


def test_access_lines_are_json_and_leave_at_flush() -> None:
    output = StringIO()
    telemetry = Telemetry(output=output)
    telemetry.exchange("preview", record())
    assert output.getvalue() == ""
    telemetry.flush()
    line = json.loads(output.getvalue())
    assert (line["event"], line["status"], line["host"]) == ("access", 200, "web--a.preview.test")


def test_a_flood_of_lines_is_written_at_once_rather_than_kept() -> None:
    output = StringIO()
    telemetry = Telemetry(output=output)
    for _ in range(MAX_PENDING_LINES):
        telemetry.exchange("preview", record())
    assert output.getvalue().count("\n") == MAX_PENDING_LINES


def test_a_log_that_cannot_be_written_is_counted_and_harms_nothing() -> None:
    output = StringIO()
    telemetry = Telemetry(output=output)
    output.close()
    telemetry.exchange("preview", record())
    telemetry.flush()
    assert samples(telemetry)["signadot_lost_log_lines_total", ()] == 1
