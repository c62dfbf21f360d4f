"""A deployment whose relay has a GitHub App, at the fake GitHub."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from certs import Authority, write_file
from tests.support.deployment import Deployment
from tests.support.fake_github import FakeGitHub
from tests.support.processes import Running

ACCOUNT = "acme-inc"
REPOSITORY = f"{ACCOUNT}/shop"
MEMBER, ADMIN, OUTSIDER = "dev-one", "dev-two", "dev-three"
TEMPLATE: dict[str, Any] = {
    "cluster": "staging",
    "description": "@{repository} pull request @{number}, branch @{branch}",
    "images": [{"name": "acme/web", "newTag": "sha-@{headCommit}"}],
    "endpoints": [{"name": "web", "target": "http://127.0.0.1:1"}],
}


class GithubDeployment(Deployment):
    """The org `acme` is linked to the account `acme-inc`, which has two members and the repository `shop`."""

    def __init__(
        self,
        folder: Path,
        *,
        names: Mapping[str, str] | None = None,
        settings: Mapping[str, Mapping[str, str | int | float]] | None = None,
    ) -> None:
        authority = Authority.create(["localhost"])
        (folder / "github").mkdir()
        self.fake = FakeGitHub(folder / "github", authority=authority)
        app = self.fake.app
        secrets = {"client_secret": app.client_secret, "webhook_secret": app.webhook_secret}
        for name, value in secrets.items():
            write_file(folder / "github" / name, value.encode() + b"\n", mode=0o600)
        github: dict[str, str | int | float] = {
            "app_id": app.id,
            "client_id": app.client_id,
            "client_secret_file": "github/client_secret",
            "private_key_file": "github/github-app.pem",
            "webhook_secret_file": "github/webhook_secret",
            "api_url": self.fake.api_url,
            "web_url": self.fake.web_url,
            "ca_file": "github/github-ca.pem",
        }
        super().__init__(folder, names=names, ca=authority, settings={**(settings or {}), "github": github})
        for login in (MEMBER, ADMIN, OUTSIDER):
            self.fake.add_user(login)
        self.fake.add_org(ACCOUNT, members=[MEMBER, ADMIN])
        self.fake.add_repository(REPOSITORY)
        self.fake.install(ACCOUNT, deliver=False)

    def __enter__(self) -> Self:
        self.fake.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            super().__exit__(kind, error, traceback)
        finally:
            self.fake.close()

    def init(self) -> None:
        """The org, linked to the account on GitHub."""
        self.api_key = self.init_org(self.org, "--github-org", ACCOUNT, "--admin-github", ADMIN)

    def start_relay(self, *, environment: Mapping[str, str] | None = None) -> Running:
        """As for every deployment; webhooks and sign-ins of the fake go to it."""
        relay = super().start_relay(environment=environment)
        self.fake.set_hook(f"https://{self.api_host}:{self.port}/github/webhook", ca_file=self.ca_file)
        self.fake.app.callback_urls[:] = [f"https://{self.host_names['app']}:{self.port}/login/callback"]
        return relay

    def put_template(self, port: int, **changes: Any) -> None:
        """The template of the repository: one endpoint that leads to a loopback port."""
        endpoints = [{"name": "web", "target": f"http://127.0.0.1:{port}"}]
        self.api("PUT", f"/templates/{REPOSITORY}", {"spec": TEMPLATE | {"endpoints": endpoints} | changes})
