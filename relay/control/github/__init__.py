"""The GitHub App: client, webhooks and their queue, pull requests, statuses, memberships; see docs/github.md."""

from relay.control.github.answers import Installation
from relay.control.github.client import GithubClient
from relay.control.github.errors import GithubRefusedError, InstallationGoneError
from relay.control.github.memberships import Memberships
from relay.control.github.receiver import WebhookReceiver
from relay.control.github.sayings import Urls
from relay.control.github.service import GithubService
from relay.control.github.settings import GithubApp, load_app

__all__ = [
    "GithubApp",
    "GithubClient",
    "GithubRefusedError",
    "GithubService",
    "Installation",
    "InstallationGoneError",
    "Memberships",
    "Urls",
    "WebhookReceiver",
    "load_app",
]
