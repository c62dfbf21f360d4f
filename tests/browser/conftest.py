"""One relay, one GitHub and one Chromium for all browser tests."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.stage import CHROMIUM, NAMES, Stage, launch
from tests.browser.target import TargetApp
from tests.support.with_github import GithubDeployment
from tests.system.conftest import pytest_runtest_makereport  # noqa: F401 - a failed test shows its processes

WORKSPACES = ("victim", "evil", "second")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}; scripts/debian-packages test installs it on Debian")
    folder = tmp_path_factory.mktemp("browser")
    with ExitStack() as stack:
        victim, evil = stack.enter_context(TargetApp("victim")), stack.enter_context(TargetApp("evil"))
        deployment = stack.enter_context(GithubDeployment(folder, names=NAMES))
        deployment.init()
        relay = deployment.start_relay()
        deployment.start_agent()
        for name in WORKSPACES:
            port = evil.port if name == "evil" else victim.port
            deployment.apply(name, web=port)
        playwright = stack.enter_context(sync_playwright())
        browser = launch(playwright, [folder / "relay.pem", folder / "github" / "github.pem"])
        stack.callback(browser.close)
        yield Stage(deployment=deployment, relay=relay, browser=browser, victim=victim, evil=evil)


@pytest.fixture(scope="session")
def signed_in(stage: Stage) -> Any:
    """The cookies of a member's browser."""
    return stage.signed_in()


@pytest.fixture
def page(stage: Stage) -> Iterator[Page]:
    """A page of a browser that has no cookies yet."""
    context = stage.context()
    yield context.new_page()
    context.close()


@pytest.fixture
def member(stage: Stage, signed_in: Any) -> Iterator[Page]:
    """A page of a member's browser, at the preview that attacks."""
    context = stage.context(signed_in)
    page = context.new_page()
    page.goto(stage.url("evil"))
    yield page
    context.close()
