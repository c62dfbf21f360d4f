"""Requests one after the other on kept-alive connections."""

from collections.abc import Mapping, Sequence
from typing import Literal

from benchmarks.load import parse_wrk, wrk_command
from benchmarks.scenarios.base import SHARES, Measure, Options, Run, Scenario, explain_limit, shares

Answer = Literal["small", "medium", "large"]
SIZES: dict[str, Answer] = {"12B": "small", "10KiB": "medium", "1MiB": "large"}
"""What the command line calls the answers."""
CORE = ((1, "12B"), (32, "12B"), (256, "12B"), (32, "10KiB"), (32, "1MiB"))
"""Measured unless the options say otherwise: connections and answer."""
MAY_FAIL = 0.01
"""Above this share of failed requests a round is no figure; up to it they are counted beside the figures."""
THROUGHPUT_AND_LATENCY = ("requests_per_second", "p50_microseconds", "p99_microseconds", "p999_microseconds")


class Requests(Scenario):
    """wrk with some connections, closed loop: throughput, latency, and CPU time per request of each process."""

    measures = (
        Measure(key="requests_per_second", label="requests/s", more_is_better=True),
        Measure(key="p50_microseconds", label="p50, us"),
        Measure(key="p99_microseconds", label="p99, us"),
        Measure(key="p999_microseconds", label="p99.9, us"),
        Measure(key="front_microseconds", label="CPU of the front, us/request", digits=1),
        Measure(key="back_microseconds", label="CPU of the back, us/request", digits=1),
        Measure(key="failed", label="failed requests", compared=False),
        *SHARES,
    )
    family = "requests"

    def __init__(self, *, connections: int, size: str = "12B") -> None:
        self.connections = connections
        self.answer = SIZES[size]
        # The core keeps the name it had before there were other sizes, so that results of all times compare.
        self.name = f"requests-{connections}" if size == "12B" else f"requests-{connections}-{size}"
        self.variant = f"{size}, {connections} {'connection' if connections == 1 else 'connections'}"
        self.title = f"answers of {size}, connections kept alive: {connections}"

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """One run of wrk; the handshakes of its connections are part of the cost."""
        seconds = run.options.seconds
        command = wrk_command(run.live.visits[self.answer], connections=self.connections, seconds=seconds)
        output, use = run.metered(lambda: run.load(command, seconds=seconds))
        answers = parse_wrk(output, may_fail=MAY_FAIL)
        explain_limit(run, use, *THROUGHPUT_AND_LATENCY)
        if answers.failed:
            run.remark(f"{answers.failed} of {answers.requests} requests failed in {self.name}")

        def per_request(role: str) -> float | None:
            return 1e6 * use.spent[role] / answers.requests if role in use.spent else None

        return {
            "requests_per_second": answers.per_second,
            "p50_microseconds": answers.p50_microseconds,
            "p99_microseconds": answers.p99_microseconds,
            "p999_microseconds": answers.p999_microseconds,
            "front_microseconds": per_request("front"),
            "back_microseconds": per_request("back"),
            "failed": answers.failed,
            **shares(use),
        }


def chosen_requests(options: Options) -> Sequence[Requests]:
    """The core, or all combinations of what the options name; a side they leave open is the core's."""
    if not options.connections and not options.answers:
        return [Requests(connections=connections, size=size) for connections, size in CORE]
    counts = options.connections or tuple(dict.fromkeys(connections for connections, _ in CORE))
    sizes = options.answers or ("12B",)
    return [Requests(connections=connections, size=size) for size in sizes for connections in counts]
