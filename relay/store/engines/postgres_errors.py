"""What PostgreSQL and libpq complain about, as one sentence for people, without values or secrets."""

import psycopg

from relay.errors import ConfigurationError, RelayError, StoreUnavailableError

_SENTENCES = {
    "25006": "the database can only be read: it may be a standby",
    "40001": "the database gave up because of a concurrent change; please try again",
    "40P01": "the database gave up because of a concurrent change; please try again",
    "42P01": "the database lacks a table: its schema is not up to date",
    "42703": "the database lacks a column: its schema is not up to date",
    "53100": "the database's disk is full",
    "53300": "the database takes no more connections",
    "55P03": "the database does not answer: another process has been writing for too long",
    "57014": "the database does not answer in time",
    "57P01": "the database does not answer: it is being stopped",
    "57P02": "the database does not answer: it has crashed and comes back",
    "57P03": "the database does not answer: it is starting or stopping",
}
"""By SQLSTATE (PostgreSQL documentation, appendix A)."""
_MISTAKES = {
    "28000": "the server does not let this user in",
    "28P01": "the user or the password is wrong",
    "3D000": "there is no such database on the server",
}
"""What no waiting puts right."""
_SIGNS = (
    ("password authentication failed", _MISTAKES["28P01"]),
    ("no password supplied", "the server asks for a password, and store.password_file is not set"),
    ("pg_hba.conf", _MISTAKES["28000"]),
    ('" does not exist', "the server has no such user or no such database"),
    ("verify failed", "the server's certificate is not of sslrootcert: certificate verify failed"),
    (
        "does not match host name",
        "the server's certificate is for another name: it does not match host name in the URL",
    ),
    ("does not support SSL", "the server does not support TLS"),
    ("certificate", "the server and we do not accept each other's certificates"),
)
"""What no waiting puts right, when it is libpq that says it: refused connections come without SQLSTATE."""
_MOST_CHARACTERS = 300


def explain(error: BaseException | None) -> str:
    """One sentence for an error of psycopg."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    if state is None:
        # Lost or refused connections: libpq's words name host and port, neither password nor data.
        return f"the database does not answer: {_first_line(str(error))}"
    if state in _SENTENCES | _MISTAKES:
        return (_SENTENCES | _MISTAKES)[state]
    # The server's own words may quote values.
    return f"the database refused: {type(error).__name__} ({state})"


def explain_at_start(error: StoreUnavailableError) -> RelayError:
    """The same error, as a mistake in the configuration where it is one."""
    cause = getattr(error.__context__, "orig", None)
    state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
    if state in _MISTAKES:
        return ConfigurationError(f"store.url: {_MISTAKES[state]}")
    if state is None:
        for sign, sentence in _SIGNS:
            if sign in str(cause):
                return ConfigurationError(f"store.url: {sentence}")
    return error


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return (lines[0] if lines else "no reason was given")[:_MOST_CHARACTERS]
