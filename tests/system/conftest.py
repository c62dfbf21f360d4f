"""Processes that the system tests share, and what they printed when a test fails."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import LIVE, Running
from tests.support.site import SampleApp, Site

Record = Callable[[str, object], None]
"""The type of pytest's `record_property`."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failed test shows the last lines of every process that is alive."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections += [(f"output of {process.name}", process.tail()) for process in list(LIVE)]


class Demo(Site):
    """`signadot-relay demo`, running."""

    def __init__(self, process: Running, facts: dict[str, Any]) -> None:
        super().__init__(
            port=int(facts["api_url"].rpartition(":")[2]),
            ca_file=Path(facts["ca_file"]),
            org=facts["org"],
            api_key=facts["api_key"],
            cluster=facts["cluster"],
        )
        self.process = process
        self.facts = facts

    @property
    def pids(self) -> tuple[int, int]:
        """Relay and agent."""
        return self.facts["relay_pid"], self.facts["agent_pid"]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demo for all tests that end nothing in it."""
    folder = tmp_path_factory.mktemp("demo")
    info = folder / "info.json"
    with Running.module("relay", "demo", "--port", "0", "--state-dir", folder / "state", "--info", info) as process:
        process.wait_for_line("Stop with Ctrl-C")
        yield Demo(process, json.loads(info.read_text()))


@pytest.fixture(scope="session")
def sample() -> Iterator[SampleApp]:
    """The sample app for relays that are started without the demo."""
    with SampleApp() as app:
        yield app
