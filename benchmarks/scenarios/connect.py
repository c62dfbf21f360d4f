"""Bytes that nobody on the way understands: CONNECT to a target in a cluster, for nginx its stream module."""

from collections.abc import Mapping

from benchmarks.load import download_command, parse_curl
from benchmarks.peers import LivePeer
from benchmarks.scenarios.base import BULK_FLOOR_BYTES_PER_SECOND, SHARES, Measure, Run, Scenario, explain_limit, shares
from benchmarks.scenarios.driven import driven

GIB = 1 << 30
CONNECTIONS = 32
SHARE = 0.5
"""Of a round's time, for one connection, and again for many."""


class Connect(Scenario):
    """curl fetches a file of zeros through the tunnel; then 12-byte answers go back and forth on open connections."""

    name = "connect"
    title = f"raw TCP (CONNECT; nginx: stream): one download, round trips on 1 and on {CONNECTIONS} connections"
    measures = (
        Measure(key="megabytes_per_second", label="one download, MB/s", more_is_better=True),
        Measure(key="front_seconds", label="CPU of the front, s/GiB", digits=2),
        Measure(key="back_seconds", label="CPU of the back, s/GiB", digits=2),
        Measure(key="p50_microseconds", label="p50 of a round trip, 1 connection, us"),
        Measure(key="p99_microseconds", label="p99 of a round trip, 1 connection, us"),
        Measure(key="trips_per_second", label=f"round trips/s, {CONNECTIONS} connections", more_is_better=True),
        Measure(key="front_microseconds", label=f"CPU of the front, us/round trip, {CONNECTIONS}", digits=1),
        Measure(key="back_microseconds", label=f"CPU of the back, us/round trip, {CONNECTIONS}", digits=1),
        *SHARES,
    )

    def suits(self, live: LivePeer) -> bool:
        """Where bytes pass as they are."""
        return bool(live.raw)

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """The download, then both kinds of round trips; shares are those of the last."""
        size, seconds = run.options.bulk_bytes, SHARE * run.options.seconds
        command = download_command(run.live.raw["bulk"])
        patience = size / BULK_FLOOR_BYTES_PER_SECOND
        output, bulk = run.metered(lambda: run.load(command, seconds=patience))
        transfer = parse_curl(output)
        explain_limit(run, bulk, "megabytes_per_second")
        with driven(run, run.live.raw["small"], at_once=1) as driver:
            driver.open(1)
            alone, use = driver.go(seconds)
            explain_limit(run, use, "p50_microseconds", "p99_microseconds")
        with driven(run, run.live.raw["small"], at_once=CONNECTIONS) as driver:
            driver.open(CONNECTIONS)
            many, use = driver.go(seconds)
            explain_limit(run, use, "trips_per_second")

        def per_gib(role: str) -> float | None:
            return bulk.spent[role] * GIB / transfer.size_bytes if role in bulk.spent else None

        def per_trip(role: str) -> float | None:
            return 1e6 * use.spent[role] / many.count if role in use.spent else None

        return {
            "megabytes_per_second": transfer.megabytes_per_second,
            "front_seconds": per_gib("front"),
            "back_seconds": per_gib("back"),
            "p50_microseconds": alone.p50,
            "p99_microseconds": alone.p99,
            "trips_per_second": many.per_second,
            "front_microseconds": per_trip("front"),
            "back_microseconds": per_trip("back"),
            **shares(use),
        }
