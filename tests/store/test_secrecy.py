"""Nothing planted is found in the files, nor in the tables once the file itself is opened."""

import re
import secrets
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Column, LargeBinary, String, select

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
    keys,
    orgs,
    rotate,
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
        "workspaces.in_cluster",
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


def _places() -> list[Column[bytes]]:
    return [column for table in keys.SEALED_TABLES for column in keys.sealed_columns(table)]


def plant_everywhere(tx: Transaction, marks: Iterable[str]) -> None:
    """Puts marks into every sealed column there is, row after row, until there are none left."""
    left = deque(marks)
    ids: dict[str, str] = {}
    while left:
        for table in metadata.sorted_tables:
            if table.name != "sealing_keys":
                values = {column.name: _value(column, left, ids) for column in table.columns if column.name != "id"}
                indexes = [column for column in table.columns if "blind_of" in column.info]
                values |= {column.name: tx.index(column, values[column.info["blind_of"]]) for column in indexes}
                ids[table.name] = tx.insert(table, values)


def _value(column: Column[Any], marks: deque[str], ids: dict[str, str]) -> Any:
    if column.info.get("sealed"):
        return marks.popleft() if marks else secrets.token_hex(8)
    if column.foreign_keys:
        return ids[next(iter(column.foreign_keys)).column.table.name]
    return _filler(column)


def _filler(column: Column[Any]) -> Any:
    match column.type:
        case LargeBinary():
            return secrets.token_bytes(32)
        case String():
            return secrets.token_hex(4)
        case Boolean():
            return False
        case _:
            return secrets.randbelow(2**30)


def _marks() -> list[str]:
    return [f"zq{number:03d}kvw" for number in range(200)]


async def test_two_hundred_values_over_all_sealed_columns_are_nowhere_in_the_open(
    request: pytest.FixtureRequest, engine: str, database: Database, path: Path
) -> None:
    marks = _marks()
    await database.write(plant_everywhere, marks)
    with database.engine.connect() as connection:
        filled = [column for column in _places() if connection.execute(select(column).limit(1)).first()]
        rows = [tuple(row) for table in metadata.tables.values() for row in connection.execute(select(table))]
    assert filled == _places()
    dump = b"\n".join(
        bytes(value) if isinstance(value, bytes) else str(value).encode() for row in rows for value in row
    )
    if engine == "sqlite":
        assert {file.name for file in path.parent.iterdir()} >= {"relay.db", "relay.db-wal"}
        dump += b"".join(file.read_bytes() for file in path.parent.iterdir())
    else:
        server, name = request.getfixturevalue("server"), request.getfixturevalue("name")
        text = server.run("pg_dump", "--inserts", database=name)
        assert text.count("INSERT INTO public.deliveries") >= 4
        # What is sealed is dumped in hexadecimal.
        dump += text.encode() + b"".join(bytes.fromhex(found) for found in re.findall(r"\\x((?:[0-9a-f]{2})+)", text))
    assert len(dump) > 20_000
    assert [mark for mark in marks if mark.encode() in dump or mark.encode().hex().encode() in dump] == []


async def test_all_that_was_planted_is_read_back_before_and_after_a_rotation(database: Database) -> None:
    marks = _marks()
    await database.write(plant_everywhere, marks)

    def read_all(tx: Transaction) -> set[str]:
        return {
            value
            for table in keys.SEALED_TABLES
            for row in tx.connection.execute(select(table)).mappings().all()
            for value in tx.reveal(table, row).values()
            if isinstance(value, str) and value.startswith("zq")
        }

    assert await database.read(read_all) == set(marks)
    rotate(database, say=lambda _: None)
    assert await database.read(read_all) == set(marks)
    counts = await database.read(keys.count_values)
    assert set(counts) == {database.sealer.active.id}
