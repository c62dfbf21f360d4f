"""The `signadot-relay keys` and `signadot-relay db` commands: what an operator does to keys and database."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from certs import write_file
from relay import config
from relay.auth import MasterKey, SealingKey, print_master_keys
from relay.errors import ConfigurationError
from relay.setup import load_master_keys, open_store, open_unchanged
from relay.store import Database, Status, find_status, keys, rotate
from relay.store.rows import Transaction

SCAN_SECONDS = 300.0
"""Counting reads everything there is."""

keys_commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The keys that data is sealed under.")
db_commands = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The database.")
ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration file.", show_default=False)]


@keys_commands.command("list")
def list_keys(
    config_file: ConfigOption,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the sealing keys and what is still sealed, or hashed, under each."""
    with _open(config_file) as (_, database), database.transaction(writes=False, seconds=SCAN_SECONDS) as transaction:
        found = keys.find_all(transaction)
    if as_json:
        typer.echo(json.dumps([_key_document(key) for key in found]))
    else:
        _print_keys(found)


@keys_commands.command("rotate")
def rotate_keys(
    config_file: ConfigOption,
    master: Annotated[
        bool, typer.Option("--master", help="Make a new master key instead; once more drops the one before it.")
    ] = False,
) -> None:
    """Seal everything under a new key while the relay serves; after an interruption it goes on where it was."""
    with _open(config_file) as (settings, database):
        if master:
            rotate_master(settings.keys.master, database)
        else:
            rotate(database, say=typer.echo)


@keys_commands.command("retire-master")
def retire_master(config_file: ConfigOption) -> None:
    """Drop the earlier master key from the key file, once nothing is wrapped under it."""
    with _open(config_file) as (settings, database):
        retire_master_key(settings.keys.master, database)


@db_commands.command()
def status(config_file: ConfigOption) -> None:
    """Show engine, schema, rows and keys of the database; changes nothing."""
    with _open(config_file, upgrade=False) as (_, database):
        _print_status(find_status(database))


@db_commands.command()
def upgrade(config_file: ConfigOption) -> None:
    """Bring the schema up to date; `serve` does so by itself."""
    with _open(config_file) as (_, database):
        typer.echo(f"the schema is at revision {find_status(database).revision}")


@db_commands.command()
def backup(
    config_file: ConfigOption,
    target: Annotated[Path, typer.Argument(help="A file that does not exist yet.", show_default=False)],
) -> None:
    """Copy an SQLite database, encrypted as it is, while the relay serves."""
    with _open(config_file, upgrade=False) as (_, database):
        database.backend.backup(target)()
    typer.echo(f"{target} is a copy of the database; it opens with the master key of now, which is not in it")


@contextmanager
def _open(path: Path, *, upgrade: bool = True) -> Iterator[tuple[config.Settings, Database]]:
    settings = config.load(path, os.environ)
    database = open_store(settings) if upgrade else open_unchanged(settings)
    try:
        yield settings, database
    finally:
        database.close()


def rotate_master(path: Path, database: Database) -> None:
    """Puts a new master key into the file and wraps all sealing keys under it, or drops one that was taken over from.

    Raises ConfigurationError when somebody else changed the file or the keys, StoreUnavailableError, OSError.
    """
    with _sole_change(path, database) as (transaction, held):
        if len(held) > 1 and not _wrapped_under(transaction, held[1:]):
            _drop_earlier(path, database, held)
            return
        is_new = len(held) == 1
        masters = (MasterKey(secret=SealingKey.mint().secret), *held) if is_new else held
        database.ring.use_masters(masters)
        count = database.ring.rewrap(transaction.connection)
        if is_new:
            # Before the commit, which nobody else could read: whatever is written opens with what the key file held
            # before, or holds after, wherever this is interrupted.
            database.backend.hold_file_key(masters)
            write_file(path, print_master_keys(masters).encode(), mode=0o600)
            typer.echo(f"{path} holds the new master key {masters[0].id} and the earlier one {masters[1].id}")
    typer.echo(f"{count} sealing key(s) wrapped under {masters[0].id}; copy {path} to a safe place, and to every host")
    typer.echo("then `signadot-relay keys retire-master` drops the earlier key")


def retire_master_key(path: Path, database: Database) -> None:
    """Drops all master keys but the first; raises as `rotate_master` does, and where one of them is needed."""
    with _sole_change(path, database) as (transaction, masters):
        if len(masters) == 1:
            raise ConfigurationError(f"{path} holds one master key only, {masters[0].id}; there is none to retire")
        if wrapped := _wrapped_under(transaction, masters[1:]):
            raise ConfigurationError(
                f"sealing key {wrapped[0]} is wrapped under an earlier master key; `keys rotate --master` first"
            )
        _drop_earlier(path, database, masters)


@contextmanager
def _sole_change(path: Path, database: Database) -> Iterator[tuple[Transaction, Sequence[MasterKey]]]:
    """The master keys, and a transaction in which nobody else changes them or puts a sealing key under them.

    Raises ConfigurationError when somebody did so while this waited for its turn, or did on another host: what the key
    file is to hold then is for the operator to say.
    """
    seen = load_master_keys(path)
    with database.transaction(writes=True) as transaction:
        masters = load_master_keys(path)
        if masters != seen:
            raise ConfigurationError(f"{path} was changed by another command meanwhile; nothing was done by this one")
        known = {master.id for master in masters}
        for key_id, master_id in keys.find_masters(transaction):
            if master_id not in known:
                raise ConfigurationError(
                    f"sealing key {key_id} is wrapped under the master key {master_id}, which {path} does not hold:"
                    " copy the key file of the host that made it"
                )
        yield transaction, masters


def _drop_earlier(path: Path, database: Database, masters: Sequence[MasterKey]) -> None:
    database.backend.hold_file_key(masters[:1])
    write_file(path, print_master_keys(masters[:1]).encode(), mode=0o600)
    typer.echo(f"{path} holds the master key {masters[0].id} alone; backups of before need the earlier one")


def _wrapped_under(transaction: Transaction, masters: Sequence[MasterKey]) -> list[str]:
    """Ids of the sealing keys that are wrapped under one of these master keys."""
    ids = {master.id for master in masters}
    return [key_id for key_id, master_id in keys.find_masters(transaction) if master_id in ids]


def _print_status(found: Status) -> None:
    facts = found.facts
    typer.echo(f"engine    {facts.engine} {facts.version}")
    typer.echo(f"protected {facts.protection}")
    typer.echo(f"size      {facts.size_bytes} bytes")
    newest = "the newest" if found.revision == found.latest else f"the newest is {found.latest}"
    typer.echo(f"schema    {found.revision or 'none yet'} ({newest})")
    for table, rows in found.rows.items():
        typer.echo(f"{rows:>9} {table}")
    _print_keys(found.keys)


def _key_document(key: keys.KeyFacts) -> dict[str, str | int]:
    return {
        "id": key.id,
        "state": key.state,
        "createdAt": _time(key.created_at),
        "masterId": key.master_id,
        "sealedValues": key.values,
        "tokens": key.tokens,
    }


def _time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_keys(found: Sequence[keys.KeyFacts]) -> None:
    for key in found:
        typer.echo(
            f"key {key.id} {key.state:<8} made {_time(key.created_at)}, wrapped under {key.master_id}:"
            f" {key.values} values, {key.tokens} tokens"
        )
