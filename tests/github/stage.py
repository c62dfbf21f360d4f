"""The parts of the GitHub App over the real store and the fake GitHub, with a clock to set."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import trio

from relay.auth import sign_webhook
from relay.control import Services, make_api
from relay.control.github import GithubApp, GithubClient, GithubService, Memberships, Urls, load_app
from relay.store import Database, Lookups, Org, clusters, installations, orgs, templates, workspaces
from tests.control.api import FakeStatus, no_cluster, preview_url
from tests.store.support import Clock
from tests.support.fake_github import Event, FakeGitHub

SECRET = b"0123456789abcdef0123456789abcdef"
ACCOUNT, REPOSITORY = "acme-inc", "acme-inc/shop"
TEMPLATE: dict[str, Any] = {
    "cluster": "staging",
    "images": [{"name": "acme/web", "newTag": "sha-@{headCommit}"}],
    "endpoints": [{"name": "web", "target": "http://web.shop.svc:8080"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The section [github], as config has it."""

    app_id: int
    client_id: str
    client_secret_file: Path
    private_key_file: Path
    webhook_secret_file: Path
    api_url: str
    web_url: str
    ca_file: Path | None


def make_app(fake: FakeGitHub, folder: Path) -> GithubApp:
    """The App as the fake knows it."""
    (folder / "client_secret").write_text(fake.app.client_secret + "\n")
    (folder / "webhook_secret").write_bytes(SECRET + b"\n")
    return load_app(
        Files(
            app_id=fake.app.id,
            client_id=fake.app.client_id,
            client_secret_file=folder / "client_secret",
            private_key_file=fake.private_key_file,
            webhook_secret_file=folder / "webhook_secret",
            api_url=fake.api_url,
            web_url=fake.web_url,
            ca_file=fake.ca_file,
        )
    )


def services_of(database: Database) -> Services:
    return Services(
        database=database,
        lookups=Lookups(database),
        cluster_status=lambda _: FakeStatus(),
        preview_url=preview_url,
        cluster_api=no_cluster,
    )


def dashboard_url(org: str, workspace: str) -> str:
    return f"https://app.localhost/orgs/{org}/workspaces/{workspace}"


@dataclass(slots=True, kw_only=True)
class Stage:
    """The org acme, linked to the account acme-inc, with the cluster staging and the template of shop."""

    fake: FakeGitHub
    database: Database
    clock: Clock
    client: GithubClient
    service: GithubService
    memberships: Memberships
    http: httpx2.AsyncClient
    org: Org
    cluster_id: str
    online: set[str] = field(default_factory=set)

    def advance(self, seconds: float) -> None:
        """Time goes by, here and at GitHub."""
        self.clock.now += seconds
        self.fake.clock.advance(seconds)

    async def post(self, body: bytes, headers: list[tuple[str, str]]) -> httpx2.Response:
        return await self.http.post("https://api.localhost/github/webhook", content=body, headers=headers)

    async def deliver(self, event: Event, *, guid: str | None = None) -> httpx2.Response:
        """What GitHub would send."""
        body = json.dumps(event.payload).encode()
        return await self.post(body, signed_headers(body, event=event.name, guid=guid))

    async def do(self, change: Callable[[], Event]) -> Event:
        """A change at GitHub and its delivery."""
        event = change()
        answer = await self.deliver(event)
        assert answer.status_code == 202, answer.text
        return event

    async def work(self) -> int:
        """Works on all that is due now; gives how many deliveries were claimed."""
        claimed = 0
        while True:
            async with trio.open_nursery() as nursery:
                taken = await self.service.worker.take(nursery)
            if not taken:
                return claimed
            claimed += taken

    async def send(self) -> None:
        """Says what follows from the workspaces, and sends all that is due now."""
        await self.service.keeper.look_at_heard()
        while await self.service.sender.send_due():
            pass

    async def names(self) -> list[str]:
        found = await self.database.read(workspaces.find_all, self.org.id)
        return [workspace.name for workspace in found]


def signed_headers(body: bytes, *, event: str = "pull_request", guid: str | None = None) -> list[tuple[str, str]]:
    return [
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", guid or str(uuid.uuid4())),
        ("x-hub-signature-256", sign_webhook(body, SECRET)),
    ]


async def make_stage(fake: FakeGitHub, database: Database, clock: Clock, folder: Path) -> Stage:
    fake.clock.freeze(clock.now)
    for login in ("dev-one", "dev-two", "dev-three"):
        fake.add_user(login)
    fake.add_org(ACCOUNT, members=["dev-one", "dev-two"])
    fake.add_repository(REPOSITORY)
    fake.install(ACCOUNT, deliver=False)
    org = await database.write(orgs.create, "acme")
    await database.write(orgs.link_github_account, org.id, ACCOUNT)
    linked = await database.read(orgs.get, org.id)
    assert linked is not None
    cluster, _ = await database.write(clusters.put, org.id, "staging")
    await database.write(templates.put, org.id, REPOSITORY, TEMPLATE)
    await database.write(installations.put, org.id, fake.installation(ACCOUNT).id, suspended=False)
    client = GithubClient(make_app(fake, folder), clock=clock)
    online: set[str] = set()
    service = GithubService(
        database=database,
        client=client,
        secrets=[SECRET],
        urls=Urls(preview=preview_url, dashboard=dashboard_url),
        cluster_status=lambda cluster_id: FakeStatus(online=cluster_id in online),
        attempts=20,
        clock=clock,
        random_number=lambda: 0.5,
    )
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(make_api(services_of(database), webhook=service.receiver)))
    return Stage(
        fake=fake,
        database=database,
        clock=clock,
        client=client,
        service=service,
        memberships=Memberships(database, client, clock=clock),
        http=http,
        org=linked,
        cluster_id=cluster.id,
        online=online,
    )
