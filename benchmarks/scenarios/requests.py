"""Small requests on kept-alive TLS connections."""

from collections.abc import Mapping

from benchmarks.load import parse_wrk, wrk_command
from benchmarks.scenarios.base import SHARES, Measure, Run, Scenario, explain_limit, shares


class Requests(Scenario):
    """wrk with some connections, closed loop: throughput, latency, and CPU time per request of each process."""

    measures = (
        Measure(key="requests_per_second", label="requests/s"),
        Measure(key="p50_microseconds", label="p50, us"),
        Measure(key="p99_microseconds", label="p99, us"),
        Measure(key="front_microseconds", label="CPU of the front, us/request", digits=1),
        Measure(key="back_microseconds", label="CPU of the back, us/request", digits=1),
        *SHARES,
    )

    def __init__(self, *, connections: int) -> None:
        self.connections = connections
        self.name = f"requests-{connections}"
        self.title = f"12-byte answers over TLS keep-alive, connections: {connections}"

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """One run of wrk; the handshakes of its connections are part of the cost."""
        seconds = run.options.seconds
        command = wrk_command(run.live.visits["small"], connections=self.connections, seconds=seconds)
        output, use = run.metered(lambda: run.load(command, seconds=seconds))
        answers = parse_wrk(output)
        void = explain_limit(run, use)

        def per_request(role: str) -> float | None:
            return 1e6 * use.spent[role] / answers.requests if role in use.spent else None

        return {
            "requests_per_second": None if void else answers.per_second,
            "p50_microseconds": None if void else answers.p50_microseconds,
            "p99_microseconds": None if void else answers.p99_microseconds,
            "front_microseconds": per_request("front"),
            "back_microseconds": per_request("back"),
            **shares(use),
        }
