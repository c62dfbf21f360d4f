"""A GitHub for tests: OAuth, the endpoints a GitHub App needs, webhooks, and the failures of all of them.

    with FakeGitHub(tmp_path, authority=authority) as fake:
        fake.app.callback_urls.append(f"https://app.localhost:{port}/auth/callback")
        fake.set_hook(f"https://api.localhost:{port}/hooks", ca_file=ca_file)
        fake.add_user("dev-one")
        fake.add_org("acme", members=["dev-one"])
        fake.add_repository("acme/shop")
        fake.install("acme")                                              # delivers installation.created
        opened = fake.open_pull_request("acme/shop", branch="feat")       # delivers pull_request.opened
        fake.wait_for_status("success", "acme/shop", sha=opened.sha)
        fake.troubles.secondary_limit(times=2, path="/statuses/")         # the next two calls fail
        fake.clock.advance(3600)                                          # tokens expire

Its names end in `.localhost`, which many C libraries do not resolve: clients connect to 127.0.0.1, or the fake gets
`host="127.0.0.1"`.
"""

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
