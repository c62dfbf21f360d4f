"""Streams that are opened and closed for one request each."""

from collections.abc import Mapping

from benchmarks.load import parse_wrk, wrk_command
from benchmarks.scenarios.base import SHARES, Measure, Run, Scenario, explain_limit, shares
from benchmarks.scenarios.requests import MAY_FAIL, THROUGHPUT_AND_LATENCY

CONNECTIONS = 32


class Streams(Scenario):
    """wrk on kept-alive connections; the target closes its own after each answer, so each request needs another."""

    name = "streams"
    title = f"a stream and a dial for each 12-byte answer (nginx: a dial), connections kept alive: {CONNECTIONS}"
    measures = (
        Measure(key="requests_per_second", label="opened and closed per second", more_is_better=True),
        Measure(key="p50_microseconds", label="p50, us"),
        Measure(key="p99_microseconds", label="p99, us"),
        Measure(key="front_microseconds", label="CPU of the front, us each", digits=1),
        Measure(key="back_microseconds", label="CPU of the back, us each", digits=1),
        Measure(key="failed", label="failed requests", compared=False),
        *SHARES,
    )

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """One run of wrk."""
        seconds = run.options.seconds
        command = wrk_command(run.live.visits["once"], connections=CONNECTIONS, seconds=seconds)
        output, use = run.metered(lambda: run.load(command, seconds=seconds))
        answers = parse_wrk(output, may_fail=MAY_FAIL)
        explain_limit(run, use, *THROUGHPUT_AND_LATENCY)

        def each(role: str) -> float | None:
            return 1e6 * use.spent[role] / answers.requests if role in use.spent else None

        return {
            "requests_per_second": answers.per_second,
            "p50_microseconds": answers.p50_microseconds,
            "p99_microseconds": answers.p99_microseconds,
            "front_microseconds": each("front"),
            "back_microseconds": each("back"),
            "failed": answers.failed,
            **shares(use),
        }
