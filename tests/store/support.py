"""What store tests share: a clock to set, and an org with things in it."""

from dataclasses import dataclass

from relay.store import Database, Endpoint, Fork, GithubSource, Image, Ttl, WorkspaceSpec, clusters, orgs, workspaces


class Clock:
    """A clock that stands still, or goes on by `step` seconds each time it is read."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now
        self.step = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


SPEC = WorkspaceSpec(
    cluster="c1",
    description="a cart",
    labels={"team": "shop"},
    images=(Image(name="acme/web", new_tag="sha-1"), Image(name="acme/api", new_tag="sha-2")),
    forks=(Fork(namespace="shop", deployment="web"),),
    github=GithubSource(repository="acme/shop", branch="feat", pull_request=42, head_commit="9fceb02"),
    endpoints=(
        Endpoint(name="web", target="http://web.shop.svc:8080"),
        Endpoint(
            name="api",
            target="http://[fd00::1]",
            visibility="public",
            host_header="visitor",
            preflight="pass",
            routing_headers=(("x-route", "b"),),
            allowed_origins=("https://app.example.com",),
        ),
    ),
    routing_headers=(("X-Route", "a"), ("x-all", "c")),
    ttl=Ttl(duration="3d", offset_from="createdAt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """Ids and secrets of the org `acme` with the cluster `c1` and the workspace `pr-42`."""

    org_id: str
    key_id: str
    secret: str
    cluster_id: str
    workspace_id: str


async def seed(database: Database, name: str = "acme") -> Seeded:
    """Makes an org, a cluster and a workspace."""
    org, key, secret = await database.write(orgs.create_with_admin_key, name)
    cluster, _ = await database.write(clusters.put, org.id, "c1")
    workspace, _ = await database.write(workspaces.put, org.id, "pr-42", SPEC)
    return Seeded(org_id=org.id, key_id=key.id, secret=secret, cluster_id=cluster.id, workspace_id=workspace.id)
