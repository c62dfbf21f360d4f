"""Queries: what is written is read back, names are kept apart, rules are kept."""

from dataclasses import replace

import pytest

from relay.auth import Role, parse
from relay.errors import ConflictError, InvalidError, NotFoundError
from relay.store import (
    Actor,
    Change,
    Clone,
    Database,
    Endpoint,
    Fork,
    InCluster,
    WorkspaceSpec,
    api_keys,
    cluster_tokens,
    clusters,
    events,
    orgs,
    workspaces,
)
from tests.store.support import SPEC, Clock, seed

ACTOR = Actor(kind="api_key", id="someone")


async def test_a_workspace_is_read_back_as_it_was_put(database: Database, clock: Clock) -> None:
    seeded = await seed(database)
    workspace = await database.read(workspaces.require, seeded.org_id, "pr-42")
    assert (workspace.spec, workspace.created_at, workspace.updated_at) == (SPEC, clock.now, clock.now)
    assert await database.read(workspaces.find_all, seeded.org_id) == [workspace]


async def test_a_bare_workspace_is_read_back_too(database: Database) -> None:
    seeded = await seed(database)
    workspace, created = await database.write(workspaces.put, seeded.org_id, "bare", WorkspaceSpec(cluster="c1"))
    assert created
    assert workspace.spec == WorkspaceSpec(cluster="c1")


async def test_putting_again_keeps_id_routing_key_and_creation(database: Database, clock: Clock) -> None:
    seeded = await seed(database)
    before = await database.read(workspaces.require, seeded.org_id, "pr-42")
    clock.now += 60
    changed = replace(SPEC, images=SPEC.images[:1], endpoints=SPEC.endpoints[1:], github=None, ttl=None)
    after, created = await database.write(workspaces.put, seeded.org_id, "pr-42", changed)
    assert not created
    assert after == replace(before, spec=changed, updated_at=clock.now, revision=2, expires_at=None)


async def test_two_orgs_may_use_one_name_and_do_not_see_each_other(database: Database) -> None:
    one, two = await seed(database, "acme"), await seed(database, "umbrella")
    assert one.workspace_id != two.workspace_id
    await database.write(workspaces.remove, one.org_id, "pr-42")
    assert await database.read(workspaces.get, one.org_id, "pr-42") is None
    assert await database.read(workspaces.get, two.org_id, "pr-42") is not None
    assert await database.read(api_keys.get, one.org_id, two.key_id) is None


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (replace(SPEC, cluster="c2"), r"spec\.cluster: there is no cluster named 'c2'"),
        (replace(SPEC, endpoints=(SPEC.endpoints[0],) * 2), r"spec\.endpoints\.1\.name: 'web' is there twice"),
        (replace(SPEC, endpoints=(Endpoint(name="Web", target="http://w"),)), r"spec\.endpoints\.0\.name: 'Web' must"),
        (replace(SPEC, endpoints=(Endpoint(name="web", target="w"),)), r"spec\.endpoints\.0\.target: 'w' must"),
        (replace(SPEC, routing_headers=(("host", "x"),)), r"spec\.routingHeaders\.0\.name: .* is reserved"),
        (
            replace(SPEC, endpoints=(replace(SPEC.endpoints[0], allowed_origins=("https://a.example",) * 65),)),
            r"spec\.endpoints\.0\.allowedOrigins: at most 64 are allowed, there are 65",
        ),
        (replace(SPEC, images=SPEC.images * 2), r"spec\.images\.2\.name: 'acme/web' is there twice"),
    ],
)
async def test_a_spec_that_breaks_a_rule_is_refused_whole(database: Database, spec: WorkspaceSpec, why: str) -> None:
    seeded = await seed(database)
    with pytest.raises(InvalidError, match=f"^{why}"):
        await database.write(workspaces.put, seeded.org_id, "pr-42", spec)
    assert (await database.read(workspaces.require, seeded.org_id, "pr-42")).spec == SPEC


async def test_routes_join_org_workspace_and_endpoint(database: Database) -> None:
    seeded = await seed(database)
    table = await database.read(workspaces.find_routes, seeded.org_id, "pr-42")
    assert table is not None
    web, api = table.lookup("web"), table.lookup("api")
    assert web is not None
    assert api is not None
    assert (web.target_host, web.target_port, web.org, web.cluster) == ("web.shop.svc", 8080, "acme", "c1")
    assert web.routing_headers == (("x-route", "a"), ("x-all", "c"))
    assert (api.target_host, api.visibility, api.host_header, api.preflight) == (
        "fd00::1",
        "public",
        "visitor",
        "pass",
    )
    assert api.routing_headers == (("x-route", "b"), ("x-all", "c"))
    assert web.routing_key == api.routing_key
    assert await database.read(workspaces.find_routes, seeded.org_id, "pr-43") is None


async def test_what_a_cluster_says_is_noted_once_and_only_of_the_specification_of_now(database: Database) -> None:
    seeded = await seed(database)
    heard: list[Change] = []
    database.subscribe(heard.append)
    found = await database.read(workspaces.require, seeded.org_id, "pr-42")
    clone = Clone(fork=Fork(namespace="shop", deployment="web"), service="pr-42-web")
    state = InCluster(
        revision=found.revision, ready=False, waiting=True, reason="Starting", message="m", clones=(clone,)
    )
    assert await database.write(workspaces.note_in_cluster, found, state)
    assert not await database.write(workspaces.note_in_cluster, found, state)
    now = await database.read(workspaces.require, seeded.org_id, "pr-42")
    assert (now.in_cluster, now.revision, now.updated_at) == (state, found.revision, found.updated_at)
    assert [(change.kind, change.name) for change in heard] == [("workspace", "pr-42")]
    assert [event.action for event in await database.read(events.find_all, seeded.org_id)].count("update") == 0
    await database.write(workspaces.put, seeded.org_id, "pr-42", replace(SPEC, description="other"))
    assert not await database.write(workspaces.note_in_cluster, found, replace(state, ready=True))


async def test_an_endpoint_may_lead_to_a_clone_once_there_is_one(database: Database) -> None:
    seeded = await seed(database)
    spec = replace(SPEC, endpoints=(Endpoint(name="web", target="fork://deployment/web:8080"),))
    found, _ = await database.write(workspaces.put, seeded.org_id, "pr-42", spec)

    async def address() -> tuple[str, int]:
        table = await database.read(workspaces.find_routes, seeded.org_id, "pr-42")
        route = None if table is None else table.lookup("web")
        assert route is not None
        return route.target_host, route.target_port

    assert await address() == ("", 8080)
    clone = Clone(fork=Fork(namespace="shop", deployment="web"), service="pr-42-web")
    state = InCluster(revision=found.revision, ready=True, reason="Ready", message="m", clones=(clone,))
    await database.write(workspaces.note_in_cluster, found, state)
    assert await address() == ("pr-42-web.shop.svc", 8080)


async def test_an_org_name_is_taken_once(database: Database) -> None:
    await seed(database)
    with pytest.raises(ConflictError, match="'acme' exists"):
        await database.write(orgs.create, "acme")
    with pytest.raises(InvalidError):
        await database.write(orgs.create, "Acme")


async def test_registering_a_cluster_again_changes_nothing(database: Database) -> None:
    seeded = await seed(database)
    cluster, created = await database.write(clusters.put, seeded.org_id, "c1")
    assert (cluster.id, created) == (seeded.cluster_id, False)


async def test_a_cluster_with_workspaces_is_not_removed_and_an_empty_one_goes_with_its_tokens(
    database: Database,
) -> None:
    seeded = await seed(database)
    cluster = await database.read(clusters.require, seeded.org_id, "c1")
    _, secret = await database.write(cluster_tokens.create, cluster)
    with pytest.raises(ConflictError, match="1 workspace"):
        await database.write(clusters.remove, seeded.org_id, "c1")
    await database.write(workspaces.remove, seeded.org_id, "pr-42")
    await database.write(clusters.remove, seeded.org_id, "c1")
    assert await database.read(cluster_tokens.find_identity, parse(secret)) is None
    with pytest.raises(NotFoundError):
        await database.read(clusters.require, seeded.org_id, "c1")


async def test_a_cluster_token_stands_for_its_cluster_until_it_is_revoked(database: Database) -> None:
    seeded = await seed(database)
    cluster = await database.read(clusters.require, seeded.org_id, "c1")
    token, secret = await database.write(cluster_tokens.create, cluster, description="ci", actor=ACTOR)
    assert (token.description, token.last_four, token.created_by) == ("ci", secret[-4:], "someone")
    identity = await database.read(cluster_tokens.find_identity, parse(secret))
    assert identity is not None
    assert (identity.token_id, identity.cluster_id, identity.cluster_name) == (token.id, cluster.id, "c1")
    await database.write(cluster_tokens.remove, cluster, token.id)
    assert await database.read(cluster_tokens.find_identity, parse(secret)) is None
    with pytest.raises(NotFoundError):
        await database.write(cluster_tokens.remove, cluster, token.id)


async def test_an_api_key_stands_for_its_org_until_it_is_revoked(database: Database) -> None:
    seeded = await seed(database)
    key, secret = await database.write(api_keys.create, seeded.org_id, name="ci", role=Role.MEMBER, actor=ACTOR)
    principal = await database.read(api_keys.find_principal, parse(secret))
    assert principal is not None
    assert principal.credential_id == key.id
    assert [(m.org, m.role) for m in principal.memberships] == [("acme", Role.MEMBER)]
    await database.write(api_keys.remove, seeded.org_id, key.id)
    assert await database.read(api_keys.find_principal, parse(secret)) is None


async def test_the_last_admin_key_stays(database: Database) -> None:
    seeded = await seed(database)
    await database.write(api_keys.create, seeded.org_id, name="m", role=Role.MEMBER)
    with pytest.raises(ConflictError, match="last admin key"):
        await database.write(api_keys.remove, seeded.org_id, seeded.key_id)
    await database.write(api_keys.create, seeded.org_id, name="a", role=Role.ADMIN)
    await database.write(api_keys.remove, seeded.org_id, seeded.key_id)


async def test_use_and_presence_are_noted_and_what_is_gone_is_passed_over(database: Database, clock: Clock) -> None:
    seeded = await seed(database)
    clock.now += 5
    await database.write(api_keys.record_used, [seeded.key_id, "gone"])
    await database.write(clusters.record_seen, [seeded.cluster_id, "gone"])
    key = await database.read(api_keys.get, seeded.org_id, seeded.key_id)
    cluster = await database.read(clusters.get, seeded.cluster_id)
    assert key is not None
    assert cluster is not None
    assert key.last_used_at == cluster.last_seen_at == clock.now


async def test_lists_come_in_pages_in_order_of_creation(database: Database, clock: Clock) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    names = [f"c{number}" for number in range(1, 8)]
    for name in names:
        await database.write(clusters.put, seeded.org_id, name)
    seen: list[str] = []
    after = ""
    while page := await database.read(clusters.find_all, seeded.org_id, limit=3, after=after):
        assert len(page) <= 3
        seen += [cluster.name for cluster in page]
        after = page[-1].id
    assert seen == names


async def test_events_say_who_did_what_newest_first(database: Database, clock: Clock) -> None:
    clock.step = 0.001
    seeded = await seed(database)
    await database.write(workspaces.remove, seeded.org_id, "pr-42", actor=ACTOR)
    found = await database.read(events.find_all, seeded.org_id)
    assert [(event.action, event.object_kind, event.object_name) for event in found] == [
        ("delete", "workspace", "pr-42"),
        ("create", "workspace", "pr-42"),
        ("create", "cluster", "c1"),
        ("create", "api_key", "admin"),
        ("create", "org", "acme"),
    ]
    assert found[0].actor == ACTOR
    assert found[0].object_id == seeded.workspace_id
    older = await database.read(events.find_all, seeded.org_id, limit=2, before=found[1].id)
    assert older == found[2:4]


async def test_a_refused_write_leaves_no_event(database: Database) -> None:
    seeded = await seed(database)
    before = await database.read(events.find_all, seeded.org_id)
    with pytest.raises(ConflictError):
        await database.write(clusters.remove, seeded.org_id, "c1")
    assert await database.read(events.find_all, seeded.org_id) == before
