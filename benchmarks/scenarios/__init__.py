"""Scenarios: what is measured, one round at a time."""

from benchmarks.scenarios.base import Measure, Options, Run, Scenario
from benchmarks.scenarios.beside import Beside
from benchmarks.scenarios.bulk import Bulk
from benchmarks.scenarios.idle import Idle
from benchmarks.scenarios.requests import Requests

SCENARIOS: dict[str, tuple[Scenario, ...]] = {
    "requests": (Requests(connections=1), Requests(connections=32)),
    "bulk": (Bulk(direction="down"), Bulk(direction="up")),
    "beside": (Beside(),),
    "idle": (Idle(),),
}
"""What the command line calls them."""

__all__ = ["SCENARIOS", "Beside", "Bulk", "Idle", "Measure", "Options", "Requests", "Run", "Scenario"]
