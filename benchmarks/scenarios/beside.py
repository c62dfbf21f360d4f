"""Small requests while a download runs on the same path."""

import time
from collections.abc import Mapping

from benchmarks.load import TIMED_OUT, download_command, parse_curl, parse_wrk, wrk_command
from benchmarks.scenarios.base import SHARES, Measure, Run, Scenario, explain_limit, finish_load, shares

CONNECTIONS = 4
LEAD_SECONDS = 1.0
"""The download is at full speed by then: its window has grown."""
BESIDE = ("p50_beside", "p99_beside", "p99_ratio", "requests_beside", "megabytes_per_second")


class Beside(Scenario):
    """wrk alone, then wrk beside a download on the same tunnel: what the download does to the slowest answers."""

    name = "beside"
    title = f"12-byte answers beside one download on the same tunnel, connections: {CONNECTIONS}"
    measures = (
        Measure(key="p50_alone", label="p50 alone, us"),
        Measure(key="p50_beside", label="p50 beside, us"),
        Measure(key="p99_alone", label="p99 alone, us"),
        Measure(key="p99_beside", label="p99 beside, us"),
        Measure(key="p99_ratio", label="p99 beside / alone", digits=2, compared=False),
        Measure(key="requests_beside", label="requests/s beside", more_is_better=True),
        Measure(key="megabytes_per_second", label="download meanwhile, MB/s", more_is_better=True),
        *SHARES,
    )

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """Both halves, one after the other; shares are those of the second."""
        seconds = run.options.seconds
        command = wrk_command(run.live.visits["small"], connections=CONNECTIONS, seconds=seconds)
        output, use = run.metered(lambda: run.load(command, seconds=seconds))
        alone = parse_wrk(output)
        explain_limit(run, use, "p50_alone", "p99_alone", "p99_ratio")
        download = download_command(run.live.visits["endless"], max_seconds=seconds + round(2 * LEAD_SECONDS))

        def both() -> tuple[str, str]:
            process = run.start_load(download)
            try:
                time.sleep(LEAD_SECONDS)
                answers = run.load(command, seconds=seconds)
                return answers, finish_load(process, accept=(TIMED_OUT,))
            finally:
                process.kill()
                process.wait()

        (answers, moved), use = run.metered(both)
        explain_limit(run, use, *BESIDE)
        beside, transfer = parse_wrk(answers), parse_curl(moved)
        return {
            "p50_alone": alone.p50_microseconds,
            "p50_beside": beside.p50_microseconds,
            "p99_alone": alone.p99_microseconds,
            "p99_beside": beside.p99_microseconds,
            "p99_ratio": beside.p99_microseconds / alone.p99_microseconds,
            "requests_beside": beside.per_second,
            "megabytes_per_second": transfer.megabytes_per_second,
            **shares(use),
        }
