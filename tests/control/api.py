"""The API over the real store, called in-process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from relay.auth import Role
from relay.control import Services, make_api
from relay.control.kubernetes import LogLimits
from relay.kubernetes import KubernetesClient
from relay.store import Change, Database, Lookups, clusters, members, users
from relay.store.records import UserProvider

API_KEY = "signadot-api-key"
REQUESTS_PER_MINUTE = 600
SPEC: dict[str, Any] = {
    "cluster": "c1",
    "description": "vouchers",
    "labels": {"team": "shop"},
    "images": [{"name": "acme/web", "newTag": "sha-1"}],
    "github": {"repository": "acme/shop", "branch": "feat", "pullRequest": 42, "headCommit": "9fceb02"},
    "endpoints": [{"name": "web", "target": "http://web.shop.svc:8080", "visibility": "org"}],
    "routingHeaders": [{"name": "x-variant", "value": "b"}],
    "ttl": {"duration": "3d", "offsetFrom": "updatedAt"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeStatus:
    online: bool = False
    tunnels: int = 0
    since: float | None = None
    agent_versions: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    kubernetes_versions: tuple[str, ...] = ()
    allowed_namespaces: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(slots=True, kw_only=True)
class Api:
    client: httpx2.AsyncClient
    database: Database
    key: str
    """Admin key of the org acme."""
    other: str
    """Admin key of the org globex."""
    statuses: dict[str, FakeStatus] = field(default_factory=dict)
    revoked: list[str] = field(default_factory=list)
    """Ids of the cluster tokens whose end the store told its subscribers of; they disconnect the agents."""
    lookups: Lookups
    clock: Clock = field(default_factory=Clock)
    app: Any
    """The ASGI application."""
    kubernetes: dict[str, KubernetesClient] = field(default_factory=dict)
    """By cluster id."""

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> httpx2.Response:
        """`headers` are named with underscores."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {API_KEY: self.key if key is None else key, "x-request-id": "r1"} | more
        return await self.client.request(method, path, json=body, headers=sent)

    async def done(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        answer = await self.call(method, path, body, key=key)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def cluster_id(self, name: str) -> str:
        org_id = (await self.principal_org()).org_id
        return (await self.database.read(clusters.require, org_id, name)).id

    async def principal_org(self) -> Any:
        return (await Lookups(self.database).principal(self.key)).memberships[0]


async def add_member(api: Api, login: str, *, role: Role = Role.MEMBER, source: UserProvider = "github") -> None:
    """Makes somebody a member of the org acme, as signing in would."""
    org_id = (await api.principal_org()).org_id
    user = await api.database.write(users.put, provider=source, subject=f"id of {login}", login=login)
    await api.database.write(members.put, org_id, user.id, source=source, role=role)


def no_cluster(cluster_id: str) -> KubernetesClient:
    raise AssertionError(f"nothing asks the cluster {cluster_id}")


def preview_url(endpoint: str, workspace: str, org: str | None) -> str:
    label = f"{endpoint}--{workspace}" if org is None else f"{endpoint}--{workspace}--{org}"
    return f"https://{label}.preview.localhost:8443/"


@asynccontextmanager
async def make(database: Database, key: str, other: str) -> AsyncIterator[Api]:
    statuses: dict[str, FakeStatus] = {}
    kubernetes: dict[str, KubernetesClient] = {}
    revoked: list[str] = []
    clock = Clock()
    lookups = Lookups(database)

    def hear(change: Change) -> None:
        if change.kind == "cluster_token" and change.deleted:
            revoked.append(change.id)

    database.subscribe(hear)
    services = Services(
        database=database,
        lookups=lookups,
        cluster_status=lambda cluster_id: statuses.get(cluster_id, FakeStatus()),
        preview_url=preview_url,
        cluster_api=lambda cluster_id: kubernetes[cluster_id],
        log_limits=LogLimits(streams_per_org=3, containers_per_org=8, stream_seconds=3600),
        clock=clock,
        requests_per_minute=REQUESTS_PER_MINUTE,
    )
    app = make_api(services)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://api.localhost/api/v2") as client:
        yield Api(
            client=client,
            database=database,
            lookups=lookups,
            key=key,
            other=other,
            statuses=statuses,
            revoked=revoked,
            clock=clock,
            app=app,
            kubernetes=kubernetes,
        )
