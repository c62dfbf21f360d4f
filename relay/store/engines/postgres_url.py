"""What a `postgresql://` URL says, as parameters for libpq; only what keeps the connection private is taken."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from relay.errors import ConfigurationError
from relay.store.engines.backend import BackendOptions

POSTGRES_PREFIX = "postgresql://"
DEFAULT_PORT = 5432
_FILES = ("sslrootcert", "sslcert", "sslkey")
_KNOWN = {"host", "sslmode", *_FILES}
_VERIFYING = {"verify-full", "verify-ca"}
_ENCRYPTING = {"require", *_VERIFYING}


def connection_parameters(url: str, options: BackendOptions) -> dict[str, str]:
    """Parameters of libpq for a URL, the password aside; see `read_password`.

    Raises ConfigurationError, which does not repeat the URL.
    """
    parts, query = _split(url)
    host = query.get("host") or unquote(parts.hostname or "")
    if "," in host or "," in parts.netloc.rpartition("@")[2]:
        # libpq tries them in turn, and what is right for one of them, such as no TLS on a socket, it does with all.
        raise ConfigurationError("store.url: one host is expected, not a list; a name may stand for several servers")
    database = unquote(parts.path.removeprefix("/"))
    if not parts.username or not host or not database:
        raise ConfigurationError("store.url: postgresql://USER@HOST/DATABASE is expected: one of the three is missing")
    milliseconds = round(options.query_seconds * 1000)
    # The relay's own deadlines come first. These end what a relay that is gone, or stopped, left behind on the server.
    settings = {
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds * 4 // 5,
        "idle_in_transaction_session_timeout": milliseconds * 2,
    }
    return {
        "host": host,
        "port": str(_port(parts)),
        "user": unquote(parts.username),
        "dbname": database,
        "application_name": "signadot-relay",
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "keepalives": "1",
        "keepalives_idle": "10",
        "keepalives_interval": "5",
        "keepalives_count": "3",
        "gssencmode": "disable",  # it would come before TLS and its checks
        **_encryption(host, query),
    }


def read_password(url: str, password_file: Path | None) -> str | None:
    """The password from the file, or else from the URL; None without one. Raises ConfigurationError."""
    given = _split(url)[0].password
    if password_file is None:
        return None if given is None else unquote(given)
    if given is not None:
        raise ConfigurationError("store.url: the password is given twice, here and in store.password_file")
    try:
        return password_file.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigurationError(f"store.password_file: {password_file}: {reason}") from error


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query, strict_parsing=True, keep_blank_values=True)) if parts.query else {}
    except ValueError as error:
        raise ConfigurationError("store.url: not a URL") from error
    unknown = sorted(set(query) - _KNOWN)
    if unknown:
        raise ConfigurationError(f"store.url: unknown parameter(s) {', '.join(unknown)}; known are {sorted(_KNOWN)}")
    return parts, query


def _port(parts: SplitResult) -> int:
    try:
        return parts.port or DEFAULT_PORT
    except ValueError as error:
        raise ConfigurationError("store.url: the port is not a number up to 65535") from error


def _encryption(host: str, query: Mapping[str, str]) -> dict[str, str]:
    if host.startswith("/"):  # a socket of this machine, which has no TLS
        return {"sslmode": "disable"}
    mode = query.get("sslmode", "verify-full")
    if mode not in _ENCRYPTING:
        raise ConfigurationError(
            f"store.url: sslmode={mode} would send the data in clear to whoever answers; verify-full is the default,"
            " and a Unix socket needs none"
        )
    files = {name: query[name] for name in _FILES if name in query}
    if mode in _VERIFYING and "sslrootcert" not in files:
        raise ConfigurationError(
            f"store.url: sslmode={mode} needs sslrootcert=FILE, the authority that vouches for the server"
        )
    for name, path in files.items():
        _require_file(name, path)
    return {"sslmode": mode, "ssl_min_protocol_version": "TLSv1.2", **files}


def _require_file(name: str, path: str) -> None:
    try:
        Path(path).open("rb").close()
        if name == "sslrootcert":
            ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise ConfigurationError(f"store.url: {name}: {path}: no certificate in PEM format") from error
    except OSError as error:
        raise ConfigurationError(f"store.url: {name}: {path}: {error.strerror}") from error
