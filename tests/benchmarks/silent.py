from benchmarks.result import Result
from benchmarks.scenarios import Scenario


class Silent:
    """Shows nothing, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def begin(self, scenario: Scenario, number: int, peer: str) -> None:
        self.told.append(f"begin {scenario.name} {number} {peer}")

    def end(self, result: Result, peer: str) -> None:
        self.told.append(f"end {result.name} {peer}")

    def done(self, result: Result) -> None:
        self.told.append(f"done {result.name}")
