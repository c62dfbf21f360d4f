"""The metrics of several processes as one."""

from prometheus_client.parser import text_string_to_metric_families

from relay.telemetry import AccessRecord, Telemetry
from relay.workers.figures import Merged


def exposition(*, requests: int, tunnels: int) -> str:
    telemetry = Telemetry(output=None)
    telemetry.requests["preview", 200] = requests
    telemetry._latency_counts[0] = requests
    telemetry._latency_sum = requests / 1000
    telemetry.gauge("signadot_tunnels", "Live tunnels.", lambda: tunnels)
    return telemetry.exposition().decode()


def samples(merged: Merged) -> dict[tuple[str, str], float]:
    return {
        (sample.name, ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(merged.exposition().decode())
        for sample in family.samples
    }


def test_counts_are_added_and_gauges_are_shown_for_each_worker() -> None:
    merged = Merged()
    merged.add(exposition(requests=5, tunnels=3), worker=0)
    merged.add(exposition(requests=7, tunnels=4), worker=1)
    found = samples(merged)
    assert found["signadot_requests_total", "kind=preview,status=200"] == 12
    assert found["signadot_request_seconds_bucket", "le=0.001"] == 12
    assert found["signadot_request_seconds_count", ""] == 12
    assert found["signadot_request_seconds_sum", ""] == 0.012
    assert found["signadot_tunnels", "worker=0"] == 3
    assert found["signadot_tunnels", "worker=1"] == 4
    assert ("signadot_tunnels", "") not in found


def test_what_an_ended_worker_counted_stays_and_what_it_held_is_gone() -> None:
    retired = Merged()
    retired.add(exposition(requests=5, tunnels=3), worker=None)
    retired.add(exposition(requests=1, tunnels=3), worker=None)
    merged = Merged()
    merged.add(retired.exposition().decode(), worker=None)
    merged.add(exposition(requests=7, tunnels=4), worker=0)
    found = samples(merged)
    assert found["signadot_requests_total", "kind=preview,status=200"] == 13
    assert [key for key in found if key[0] == "signadot_tunnels"] == [("signadot_tunnels", "worker=0")]


def test_two_processes_of_one_slot_add_up() -> None:
    merged = Merged()
    merged.add(exposition(requests=5, tunnels=3), worker=0)
    merged.add(exposition(requests=7, tunnels=4), worker=0)
    assert samples(merged)["signadot_tunnels", "worker=0"] == 7


def test_no_write_is_longer_than_a_pipe_takes_at_once() -> None:
    writes: list[str] = []

    class Output:
        def write(self, text: str) -> None:
            writes.append(text)

        def flush(self) -> None:
            """Nothing is kept."""

    telemetry = Telemetry(output=Output(), shares_output=True)  # type: ignore[arg-type]
    for number in range(40):
        telemetry.exchange(
            "preview",
            AccessRecord(
                at=0.0,
                request_id=str(number),
                peer="",
                method="GET",
                path="/" + "x" * (100 if number else 8000),
                status=200,
                code="",
                received_bytes=0,
                sent_bytes=0,
                duration_seconds=0.0,
                context='"host": ""',
            ),
        )
    telemetry.flush()
    assert "".join(writes).count("\n") == 40
    assert all(text.endswith("\n") for text in writes)
    assert all(len(text) <= 4096 for text in writes[1:])
