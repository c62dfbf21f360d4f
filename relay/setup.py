"""First-time set-up, and opening what it made."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from certs import CertificateError, server_context, write_file
from relay import config
from relay.auth import MasterKey, mint_master_key, parse_master_keys
from relay.errors import ConfigurationError, ConflictError, StoreUnavailableError
from relay.routing import require_name
from relay.store import Database, orgs, upgrade
from relay.store.rows import Transaction


async def initialise(
    settings: config.Settings, org: str, *, more: Callable[[Transaction, str], None] | None = None
) -> str:
    """Makes the master key if absent, the schema, and the org; gives the org's first admin API key.

    `more` writes what else belongs to the new org, whose id it is given, in the same transaction. Raises InvalidError
    for a bad name, and ConfigurationError, also when the org exists: its key was shown when it was made.
    """
    require_name(org, field="org")
    path = settings.keys.master
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, mint_master_key().encode(), mode=0o600)
    database = open_unchanged(settings, create=True)
    try:
        upgrade(database)
        api_key = await database.write(_create, org, more)
    finally:
        database.close()
    return api_key


def _create(tx: Transaction, name: str, more: Callable[[Transaction, str], None] | None) -> str:
    try:
        org, _, api_key = orgs.create_with_admin_key(tx, name)
    except ConflictError as error:
        raise ConfigurationError(f"{error}; more keys are made by `signadot apikey create`") from error
    try:
        if more is not None:
            more(tx, org.id)
    except ConflictError as error:
        raise ConfigurationError(str(error)) from error
    return api_key


def try_out(settings: config.Settings) -> list[str]:
    """Problems that only using the files and the database shows; empty when all is well."""
    problems = []
    for attempt in (_try_certificate, _try_store, _try_github):
        try:
            attempt(settings)
        except (CertificateError, ConfigurationError, StoreUnavailableError) as error:
            problems.append(str(error))
    return problems


def _try_certificate(settings: config.Settings) -> None:
    server_context(settings.tls.certificate, settings.tls.key)


def _try_github(settings: config.Settings) -> None:
    if settings.github is not None:
        from relay.control.github import load_app  # noqa: PLC0415 - the API's libraries are for those who need them

        load_app(settings.github)


def _try_store(settings: config.Settings) -> None:
    open_unchanged(settings).close()


def open_store(settings: config.Settings) -> Database:
    """Opens the database that `initialise` made and brings its schema up to date. Raises ConfigurationError."""
    database = open_unchanged(settings)
    try:
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def open_unchanged(settings: config.Settings, *, create: bool = False) -> Database:
    """Opens the database as it is. Raises ConfigurationError, StoreUnavailableError."""
    path = settings.keys.master
    return Database.open(
        settings.store.url,
        load_master_keys(path),
        create=create,
        password_file=settings.store.password_file,
        query_seconds=settings.limits.query_seconds,
        masters_again=partial(load_master_keys, path),
    )


def load_master_keys(path: Path) -> tuple[MasterKey, ...]:
    """Reads the master key file, the key in use first.

    Raises ConfigurationError when it is missing, readable by others or malformed.
    """
    try:
        if config.is_exposed(path.stat(), reader=os.geteuid()):
            raise ConfigurationError(f"keys.master: {path}: readable by others; chmod 600 it")
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigurationError(f"keys.master: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"keys.master: {path}: not a master key: 32 random bytes in base64 are expected"
        ) from error
    return parse_master_keys(text, source=f"keys.master: {path}")
