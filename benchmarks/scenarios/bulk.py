"""One large body on one connection."""

from collections.abc import Mapping
from typing import Literal

from benchmarks.load import download_command, parse_curl, upload_command
from benchmarks.processes import BenchmarkError
from benchmarks.scenarios.base import (
    BULK_FLOOR_BYTES_PER_SECOND,
    SHARES,
    Measure,
    Run,
    Scenario,
    explain_limit,
    shares,
)

GIB = 1 << 30


class Bulk(Scenario):
    """curl fetches or posts a file of zeros: CPU time per GiB of each process, and throughput."""

    measures = (
        Measure(key="megabytes_per_second", label="MB/s", more_is_better=True),
        Measure(key="front_seconds", label="CPU of the front, s/GiB", digits=2),
        Measure(key="back_seconds", label="CPU of the back, s/GiB", digits=2),
        *SHARES,
    )

    def __init__(self, *, direction: Literal["down", "up"]) -> None:
        self.direction = direction
        self.name = f"bulk-{direction}"
        self.family, self.variant = "bulk", direction
        self.title = f"one large body {direction}, one connection"

    def measure(self, run: Run) -> Mapping[str, float | None]:
        """One transfer, complete to the byte."""
        size = run.options.bulk_bytes
        if self.direction == "down":
            command = download_command(run.live.visits["bulk"])
        else:
            command = upload_command(run.live.visits["upload"], run.target.bulk_file)
        patience = size / BULK_FLOOR_BYTES_PER_SECOND
        output, use = run.metered(lambda: run.load(command, seconds=patience))
        transfer = parse_curl(output)
        # Besides the file, an upload counts the few bytes of its answer.
        if not size <= transfer.size_bytes < size + 1024:
            raise BenchmarkError(f"{transfer.size_bytes} bytes came through instead of {size}")
        explain_limit(run, use, "megabytes_per_second")

        def per_gib(role: str) -> float | None:
            return use.spent[role] * GIB / size if role in use.spent else None

        return {
            "megabytes_per_second": transfer.megabytes_per_second,
            "front_seconds": per_gib("front"),
            "back_seconds": per_gib("back"),
            **shares(use),
        }
