"""New TLS connections with one request on each."""

import json
import sys
from collections.abc import Mapping
from typing import Literal

from benchmarks.load import h2load_command, parse_h2load
from benchmarks.peers import LivePeer
from benchmarks.scenarios.base import SHARES, Measure, Run, Scenario, explain_limit, shares

Kind = Literal["flood", "full", "resumed"]
PER_SECOND: dict[Kind, int] = {"flood": 1000, "full": 300, "resumed": 300}
"""Connections for each second of a round: peers are asked for so many, not for so long, as h2load's timed runs do not
end when the server closes connections."""
CONNECTIONS = 32
TITLES: dict[Kind, str] = {
    "flood": f"as many as there can be, {CONNECTIONS} at a time",
    "full": "full handshakes by a small client",
    "resumed": "resumed handshakes by a small client",
}


class Handshakes(Scenario):
    """Connections per second, and CPU time of each process for a connection with its request."""

    measures = (
        Measure(key="per_second", label="connections/s", more_is_better=True),
        Measure(key="front_microseconds", label="CPU of the front, us/connection", digits=1),
        Measure(key="back_microseconds", label="CPU of the back, us/connection", digits=1),
        Measure(key="resumed", label="resumed, %", compared=False),
        *SHARES,
    )
    family = "handshakes"

    def __init__(self, *, kind: Kind) -> None:
        self.kind: Kind = kind
        self.variant = kind
        self.name = f"handshakes-{kind}"
        self.title = f"new TLS connections, one 12-byte answer on each: {TITLES[kind]}"

    def suits(self, live: LivePeer) -> bool:
        """Only where visitors speak TLS."""
        return bool(live.visits) and live.visits["small"].secure

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """h2load floods; a client of ours compares full with resumed, and says nothing of throughput: it is slow."""
        count = PER_SECOND[self.kind] * run.options.seconds
        visit = run.live.visits["small"]
        if self.kind == "flood":
            command = h2load_command(visit, requests=count, connections=CONNECTIONS)
        else:
            command = [
                *(sys.executable, "-m", "benchmarks.handshake", "--port", str(visit.port), "--host", visit.host),
                *("--ca-file", str(visit.ca_file), "--count", str(count), *visit.header_arguments),
                *(["--resume"] if self.kind == "resumed" else ()),
            ]
        output, use = run.metered(lambda: run.load(command, seconds=run.options.seconds))
        values = parse_h2load(output, requests=count) if self.kind == "flood" else json.loads(output)
        connections = values["connections"]
        if self.kind == "flood":
            explain_limit(run, use, "per_second")

        def per_connection(role: str) -> float | None:
            return 1e6 * use.spent[role] / connections if role in use.spent else None

        return {
            "per_second": connections / values["seconds"] if self.kind == "flood" else None,
            "front_microseconds": per_connection("front"),
            "back_microseconds": per_connection("back"),
            "resumed": None if self.kind == "flood" else 100 * values["resumed"] / connections,
            **shares(use),
        }
