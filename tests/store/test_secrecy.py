"""Nothing planted is found in the files, nor in the tables once the file itself is opened."""

from pathlib import Path

import pytest
from sqlalchemy import select

from relay.auth import Role, UnsealError
from relay.store import (
    Database,
    Endpoint,
    GithubSource,
    Image,
    WorkspaceSpec,
    api_keys,
    cluster_tokens,
    clusters,
    events,
    orgs,
    workspaces,
)
from relay.store.rows import Transaction
from relay.store.schema import metadata
from tests.store.support import seed


async def plant(database: Database) -> list[str]:
    """Puts 50 different values wherever a user's text can go; returns them."""
    marks = [f"zq{number:02d}kv" for number in range(44)]
    mark = iter(marks)
    org, _, secret = await database.write(orgs.create_with_admin_key, next(mark))
    key, key_secret = await database.write(api_keys.create, org.id, name=next(mark), role=Role.MEMBER)
    await database.write(api_keys.remove, org.id, key.id)
    planted = [*marks, secret, secret[4:], key_secret, key_secret[4:34]]
    name = ""
    for _ in range(2):
        cluster, _ = await database.write(clusters.put, org.id, next(mark))
        _, token_secret = await database.write(cluster_tokens.create, cluster, description=next(mark))
        planted.append(token_secret[4:34])
        spec = WorkspaceSpec(
            cluster=cluster.name,
            description=next(mark),
            labels={next(mark): next(mark)},
            images=tuple(Image(name=next(mark), new_tag=next(mark)) for _ in range(2)),
            github=GithubSource(
                repository=f"{next(mark)}/{next(mark)}", branch=next(mark), head_commit=next(mark), pull_request=1
            ),
            endpoints=(
                Endpoint(
                    name=next(mark),
                    target=f"http://{next(mark)}:1",
                    routing_headers=((next(mark), next(mark)),),
                    allowed_origins=(f"https://{next(mark)}",),
                ),
            ),
            routing_headers=((next(mark), next(mark)),),
        )
        name = next(mark)
        await database.write(workspaces.put, org.id, name, spec)
        await database.write(workspaces.put, org.id, name, spec)
    assert next(mark, None) is None
    assert len(set(planted)) == 50
    assert name in {event.object_name for event in await database.read(events.find_all, org.id)}
    return planted


@pytest.mark.only("sqlite")
async def test_fifty_planted_values_are_not_in_the_database_file_or_its_log(database: Database, path: Path) -> None:
    planted = await plant(database)
    files = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert set(files) >= {"relay.db", "relay.db-wal"}
    assert sum(map(len, files.values())) > 100_000
    structure = [b"SQLite format 3", b"CREATE TABLE", b"workspaces"]
    assert [(name, part) for name, content in files.items() for part in structure if part in content] == []
    assert [(name, value) for name, content in files.items() for value in planted if value.encode() in content] == []


async def test_fifty_planted_values_are_not_in_the_tables_either(database: Database) -> None:
    planted = await plant(database)
    with database.engine.connect() as connection:
        rows = [tuple(row) for table in metadata.tables.values() for row in connection.execute(select(table))]
    dump = b"\n".join(value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row)
    assert len(rows) > 20
    assert [value for value in planted if value.encode() in dump] == []


def test_what_the_design_names_as_sealed_is_sealed() -> None:
    sealed = {
        str(column) for table in metadata.tables.values() for column in table.columns if column.info.get("sealed")
    }
    assert sealed == {
        "orgs.name",
        "api_keys.details",
        "clusters.name",
        "cluster_tokens.details",
        *(f"workspaces.{name}" for name in ("name", "spec", "repository", "organisation", "branch", "head_commit")),
        "workspaces.pull_request",
        "workspace_images.name",
        "workspace_images.new_tag",
        "workspace_endpoints.name",
        "workspace_endpoints.target",
        "workspace_endpoints.extras",
        "workspace_templates.repository",
        "workspace_templates.template",
        "orgs.github_account",
        "users.subject",
        "users.login",
        "login_codes.details",
        "deliveries.payload",
        "deliveries.problem",
        "commit_statuses.place",
        "commit_statuses.details",
        "commit_statuses.problem",
        "changes.name",
        "events.actor_last_four",
        "events.actor_name",
        "events.object_name",
    }


async def test_a_sealed_value_copied_to_another_row_is_refused(database: Database) -> None:
    one, two = await seed(database, "acme"), await seed(database, "umbrella")

    def swap(tx: Transaction) -> None:
        table = metadata.tables["workspaces"]
        stolen = tx.connection.execute(select(table.c.spec).where(table.c.id == two.workspace_id)).scalar_one()
        tx.connection.execute(table.update().where(table.c.id == one.workspace_id).values(spec=stolen))

    await database.write(swap)
    with pytest.raises(UnsealError, match=r"workspaces\.spec .* moved"):
        await database.read(workspaces.get, one.org_id, "pr-42")


async def test_an_error_of_the_database_does_not_repeat_values(database: Database) -> None:
    def collide(tx: Transaction) -> None:
        table = metadata.tables["orgs"]
        values = {"id": "zq00kv", "name": b"", "name_index": b"x" * 32, "created_at": 0.0}
        tx.connection.execute(table.insert(), [values, values])

    with pytest.raises(Exception, match="another change came between") as caught:
        await database.write(collide)
    assert "zq00kv" not in str(caught.value) + str(caught.value.__cause__)
