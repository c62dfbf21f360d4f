"""Revisions, heads and the time to live of workspaces."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from relay.errors import InvalidError
from relay.store import Change, Database, Ttl, WorkspaceSpec, events, templates, workspaces
from relay.store.changes import EVERYTHING
from relay.store.schema import workspaces as workspaces_table
from tests.store.support import SPEC, Clock, seed


async def test_the_revision_grows_only_when_the_specification_changes(database: Database, clock: Clock) -> None:
    seeded = await seed(database)
    clock.now += 1
    same, _ = await database.write(workspaces.put, seeded.org_id, "pr-42", SPEC)
    changed, _ = await database.write(workspaces.put, seeded.org_id, "pr-42", replace(SPEC, description="x"))
    assert (same.revision, changed.revision) == (1, 2)
    moved = await database.write(workspaces.move_head, seeded.org_id, "pr-42", branch="b", head_commit="c")
    again = await database.write(workspaces.move_head, seeded.org_id, "pr-42", branch="b", head_commit="c")
    assert (moved.revision, again.revision) == (3, 3)
    assert moved.spec.endpoints == SPEC.endpoints
    assert moved.routing_key == same.routing_key


@pytest.mark.parametrize(
    ("duration", "seconds"), [("90m", 5400), ("12h", 43200), ("3d", 259200), ("2w", 1209600), ("1m", 60)]
)
@pytest.mark.parametrize("offset_from", ["createdAt", "updatedAt"])
async def test_a_workspace_is_deleted_when_its_time_is_over_and_not_before(
    *, database: Database, clock: Clock, duration: str, seconds: int, offset_from: str
) -> None:
    seeded = await seed(database)
    await database.write(workspaces.remove, seeded.org_id, "pr-42")
    spec = WorkspaceSpec(cluster="c1", ttl=Ttl(duration=duration, offset_from=offset_from))  # type: ignore[arg-type]
    await database.write(workspaces.put, seeded.org_id, "short", spec)
    clock.now += 30
    await database.write(workspaces.put, seeded.org_id, "short", spec)
    clock.now += seconds - 31
    assert not await database.read(workspaces.has_expired)
    clock.now += 1
    assert await database.read(workspaces.has_expired) == (offset_from == "createdAt")
    clock.now += 30
    assert await database.write(workspaces.remove_expired) == 1
    assert await database.read(workspaces.get, seeded.org_id, "short") is None
    (last,) = await database.read(events.find_all, seeded.org_id, limit=1)
    assert (last.action, last.object_name, last.actor.kind) == ("delete", "short", "system")


async def test_a_duration_that_is_none_is_refused(database: Database) -> None:
    seeded = await seed(database)
    for duration in ("0d", "3", "d", "3y", "100000m", "-1d", "3 d", "٣d"):
        spec = replace(SPEC, ttl=Ttl(duration=duration))
        with pytest.raises(InvalidError, match=r"spec\.ttl\.duration"):
            await database.write(workspaces.put, seeded.org_id, "pr-42", spec)


async def test_templates_are_kept_by_repository_whatever_its_case(database: Database, clock: Clock) -> None:
    clock.step = 1
    one, two = await seed(database, "acme"), await seed(database, "umbrella")
    made, new = await database.write(templates.put, one.org_id, "Acme/Shop", {"cluster": "c1"})
    assert (made.repository, new) == ("acme/shop", True)
    again, new = await database.write(templates.put, one.org_id, "acme/SHOP", {"cluster": "c2"})
    assert (again.id, new, again.document) == (made.id, False, {"cluster": "c2"})
    assert await database.read(templates.get, two.org_id, "acme/shop") is None
    await database.write(templates.remove, one.org_id, "ACME/shop")
    assert list(await database.read(templates.find_all, one.org_id)) == []
    kinds = [
        event.action for event in await database.read(events.find_all, one.org_id) if event.object_kind == "template"
    ]
    assert kinds == ["delete", "update", "create"]
    with pytest.raises(InvalidError, match="OWNER/NAME"):
        await database.write(templates.put, one.org_id, "shop", {})


@pytest.mark.parametrize(("column", "named"), [("head_commit", "b"), ("name", "")])
async def test_a_damaged_workspace_expires_like_the_others(
    *, database: Database, clock: Clock, column: str, named: str
) -> None:
    seeded = await seed(database)
    await database.write(workspaces.remove, seeded.org_id, "pr-42")
    spec = WorkspaceSpec(cluster="c1", ttl=Ttl(duration="1m", offset_from="createdAt"))
    for name in ("a", "b", "c"):
        made, _ = await database.write(workspaces.put, seeded.org_id, name, spec)
        if name == "b":
            damage = update(workspaces_table).where(workspaces_table.c.id == made.id).values({column: b"\1\2"})
            with database.transaction(writes=True) as transaction:
                transaction.connection.execute(damage)
    clock.now += 61
    heard: list[Change] = []
    database.subscribe(heard.append)
    assert await database.write(workspaces.remove_expired) == 3
    assert not await database.read(workspaces.has_expired)
    told = await database.read(events.find_all, seeded.org_id, limit=3)
    assert sorted(event.object_name for event in told) == sorted(["a", named, "c"])
    assert {event.action for event in told} == {"delete"}
    assert (EVERYTHING in heard) == (named == "")
