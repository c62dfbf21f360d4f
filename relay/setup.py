"""First-time set-up, and opening what it made."""

import re
from dataclasses import dataclass
from pathlib import Path

from certs import CertificateError, server_context, write_file
from relay import config
from relay.auth import MasterKey, Role, mint_master_key, parse_master_key
from relay.errors import ConfigurationError, ConflictError, InvalidError, StoreUnavailableError
from relay.routing import require_name
from relay.store import Database, login_links, members, orgs, upgrade, users
from relay.store.rows import Transaction

HTTPS_PORT = 443
_USER_NAME = re.compile(r"[a-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """A login link to make."""

    user: str
    """Name of a local user, who is made known if need be."""
    org: str | None = None
    """An org to make them a member of."""
    role: Role | None = None
    """Their role there; None keeps the one they have, and makes a new one a member."""
    seconds: float
    """How long the link works."""
    port: int | None = None
    """The public port; None: the one of the configuration."""


async def initialise(settings: config.Settings, org: str) -> str:
    """Makes the master key if absent, the schema, and the org; gives the org's first admin API key.

    Raises InvalidError for a bad name, and ConfigurationError, also when the org exists: its key was shown when it
    was made.
    """
    require_name(org, field="org")
    path = settings.keys.master
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, mint_master_key().encode(), mode=0o600)
    database = Database.open(settings.store.url, load_master_key(path), create=True)
    try:
        upgrade(database)
        _, _, api_key = await database.write(orgs.create_with_admin_key, org)
    except ConflictError as error:
        raise ConfigurationError(f"{error}; more keys are made by `signadot apikey create`") from error
    finally:
        database.close()
    return api_key


async def make_login_link(settings: config.Settings, request: LinkRequest) -> str:
    """A URL of the app host that signs a local user in, once.

    Raises InvalidError for a bad name, ConfigurationError where the org or the port is not known, or the user would
    have no place in any org.
    """
    if not _USER_NAME.fullmatch(request.user):
        raise InvalidError(f"user: {request.user!r} must be 1 to 64 characters of a-z, 0-9, dot, underscore and hyphen")
    if request.role is not None and request.org is None:
        raise InvalidError("role: name the organisation as well, with --org")
    port = request.port or config.split_address(settings.listen.public)[1]
    if not port:
        raise ConfigurationError("listen.public: port 0 takes a free one; say which one it is, with --port")
    database = open_store(settings)
    try:
        secret = await database.write(_create_link, request)
    finally:
        database.close()
    suffix = "" if port == HTTPS_PORT else f":{port}"
    return f"https://{settings.hosts.app}{suffix}/login/link?code={secret}"


def _create_link(tx: Transaction, request: LinkRequest) -> str:
    user = users.put(tx, provider="local", subject=request.user, login=request.user)
    if request.org is not None:
        org = orgs.find(tx, request.org)
        if org is None:
            raise ConfigurationError(f"org: there is no organisation {request.org!r}; `signadot-relay init` makes one")
        members.put(tx, org.id, user.id, source="local", role=request.role)
    elif not any(member.active for member in members.find_of_user(tx, user.id)):
        raise ConfigurationError(f"user: {request.user} belongs to no organisation yet; name one, with --org")
    return login_links.create(tx, user.id, seconds=request.seconds)


def try_out(settings: config.Settings) -> list[str]:
    """Problems that only using the certificate, the master key and the database shows; empty when all is well."""
    problems = []
    for attempt in (_try_certificate, _try_store):
        try:
            attempt(settings)
        except (CertificateError, ConfigurationError, StoreUnavailableError) as error:
            problems.append(str(error))
    return problems


def _try_certificate(settings: config.Settings) -> None:
    server_context(settings.tls.certificate, settings.tls.key)


def _try_store(settings: config.Settings) -> None:
    Database.open(settings.store.url, load_master_key(settings.keys.master)).close()


def open_store(settings: config.Settings) -> Database:
    """Opens the database that `initialise` made and brings its schema up to date. Raises ConfigurationError."""
    database = Database.open(settings.store.url, load_master_key(settings.keys.master))
    upgrade(database)
    return database


def load_master_key(path: Path) -> MasterKey:
    """Reads the master key file. Raises ConfigurationError when it is missing, readable by others or malformed."""
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigurationError(f"keys.master: {path}: readable by others; chmod 600 it")
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigurationError(f"keys.master: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"keys.master: {path}: not a master key: 32 random bytes in base64 are expected"
        ) from error
    return parse_master_key(text, source=f"keys.master: {path}")
