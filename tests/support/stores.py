"""Stores for tests, copied from one whose schema was made once: migrations take six times as long as opening a file."""

import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from relay.auth import MasterKey
from relay.store import Database, upgrade

MASTER = MasterKey(secret=bytes(range(32)))
MADE_AT = 1_700_000_000.0


def new_store(folder: Path, *, clock: Callable[[], float] = time.time) -> Database:
    """An open store in `relay.db` of `folder`, with its schema and a sealing key and nothing else."""
    path = folder / "relay.db"
    write_file(path)
    return Database.open(f"sqlite:///{path}", MASTER, clock=clock)


def write_file(path: Path) -> None:
    """The file of such a store, as the relay makes it."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.touch(mode=0o600)
    path.write_bytes(_content())


@cache
def _content() -> bytes:
    with tempfile.TemporaryDirectory(prefix="relay-store-") as folder:
        path = Path(folder) / "relay.db"
        make_schema(f"sqlite:///{path}")
        return path.read_bytes()


def make_schema(url: str) -> None:
    """Makes a new store at `url`, and closes it."""
    database = Database.open(url, MASTER, create=True, query_seconds=60.0, clock=lambda: MADE_AT)
    try:
        upgrade(database)
    finally:
        database.close()
