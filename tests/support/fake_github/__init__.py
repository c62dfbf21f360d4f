"""A GitHub for tests: OAuth, the endpoints a GitHub App needs, webhooks, and the failures of all of them."""

from tests.support.fake_github.app import App, new_private_key
from tests.support.fake_github.clock import Clock
from tests.support.fake_github.fake import FakeGitHub
from tests.support.fake_github.hooks import sign
from tests.support.fake_github.records import (
    Account,
    Attempt,
    Call,
    Delivery,
    Event,
    Installation,
    PullRequest,
    Repository,
    Status,
    UnknownError,
)

__all__ = [
    "Account",
    "App",
    "Attempt",
    "Call",
    "Clock",
    "Delivery",
    "Event",
    "FakeGitHub",
    "Installation",
    "PullRequest",
    "Repository",
    "Status",
    "UnknownError",
    "new_private_key",
    "sign",
]
