"""No query scans a table: what one look-up costs does not depend on how much is stored."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from relay.auth import TokenKind, mint, parse
from relay.store import Cluster, Database, api_keys, changes, cluster_tokens, clusters, events, orgs, workspaces
from relay.store.rows import Transaction
from relay.store.schema import workspaces as workspaces_table
from tests.store.support import SPEC, Seeded, seed

ROWS = 100_000
CLUSTER = Cluster(id="c", org_id="o", name="c1", created_at=0, last_seen_at=None)

QUERIES: dict[str, Callable[[Transaction, Seeded], Any]] = {
    "org by name": lambda tx, _: orgs.find(tx, "acme"),
    "org by id": lambda tx, at: orgs.get(tx, at.org_id),
    "orgs": lambda tx, _: orgs.find_all(tx, after="0"),
    "principal": lambda tx, at: api_keys.find_principal(tx, parse(at.secret)),
    "api key": lambda tx, at: api_keys.get(tx, at.org_id, at.key_id),
    "api keys": lambda tx, at: api_keys.find_all(tx, at.org_id, after="0"),
    "use of a key": lambda tx, at: api_keys.record_used(tx, [at.key_id]),
    "identity": lambda tx, _: cluster_tokens.find_identity(tx, parse(mint(TokenKind.CLUSTER_TOKEN))),
    "cluster tokens": lambda tx, _: cluster_tokens.find_all(tx, CLUSTER, after="0"),
    "cluster": lambda tx, at: clusters.find(tx, at.org_id, "c1"),
    "clusters": lambda tx, at: clusters.find_all(tx, at.org_id, after="0"),
    "presence": lambda tx, at: clusters.record_seen(tx, [at.cluster_id]),
    "workspace": lambda tx, at: workspaces.get(tx, at.org_id, "pr-42"),
    "workspaces": lambda tx, at: workspaces.find_all(tx, at.org_id, limit=5, after="0"),
    "routes": lambda tx, at: workspaces.find_routes(tx, at.org_id, "pr-42"),
    "apply": lambda tx, at: workspaces.put(tx, at.org_id, "pr-42", SPEC),
    "delete": lambda tx, at: workspaces.remove(tx, at.org_id, "pr-42"),
    "news": lambda tx, _: changes.find_news(tx, "0"),
    "where news begin": lambda tx, _: changes.find_start(tx),
    "sweep": lambda tx, _: changes.sweep(tx),
    "events": lambda tx, at: events.find_all(tx, at.org_id, before="f"),
}


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that the database is given, with their parameters."""
    seen: list[tuple[str, Any]] = []

    def note(*arguments: Any) -> None:
        _, _, statement, parameters, _, many = arguments
        if "sealing_keys" not in statement:  # the ring, a handful of rows, read whole
            seen.append((statement, parameters[0] if many else parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine, "before_cursor_execute", note)


@pytest.mark.only("sqlite")  # its planner says the same each time
@pytest.mark.parametrize("what", QUERIES)
async def test_no_query_scans_or_sorts_a_table(database: Database, what: str) -> None:
    seeded = await seed(database)
    with statements(database) as seen:
        await database.write(QUERIES[what], seeded)
    plans = []
    with database.engine.connect() as connection:
        for statement, parameters in seen:
            if statement.startswith(("SELECT", "UPDATE", "DELETE", "INSERT")):
                rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, parameters)
                plans += [(row[3], statement) for row in rows]
    assert [step for step in plans if "SCAN" in step[0] or "TEMP B-TREE" in step[0]] == []
    assert plans
    assert any("SEARCH" in step for step, _ in plans)


@pytest.mark.only("sqlite")  # which counts its instructions
async def test_a_look_up_does_the_same_work_among_ten_and_a_hundred_thousand_workspaces(database: Database) -> None:
    seeded = await seed(database)

    def fill(tx: Transaction) -> None:
        row = dict(tx.connection.execute(workspaces_table.select()).mappings().one())
        rows = (
            row | {"id": f"{n:032x}", "name_index": n.to_bytes(32, "big"), "routing_key": f"{n:020x}"}
            for n in range(1, ROWS)
        )
        tx.connection.execute(insert(workspaces_table), list(rows))

    def steps(tx: Transaction) -> int:
        """Instructions that SQLite's machine runs for one look-up, in hundreds."""
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        driver = tx.connection.connection.dbapi_connection
        assert driver is not None
        driver.set_progress_handler(tick, 1)
        try:
            assert workspaces.find_routes(tx, seeded.org_id, "pr-42") is not None
        finally:
            driver.set_progress_handler(None, 1)
        return count

    few = await database.read(steps)
    await database.write(fill)
    many = await database.read(steps)
    total = await database.read(lambda tx: tx.connection.execute(text("SELECT count(*) FROM workspaces")).scalar_one())
    assert total == ROWS
    assert many == few
