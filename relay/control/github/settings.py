"""The App's identity and secrets, read from their files once, at start."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import jwt

from relay.errors import ConfigurationError

F = TypeVar("F")
T = TypeVar("T")
SHORTEST_SECRET_BYTES = 16
"""A webhook secret that can be guessed lets anybody make us ask GitHub, as often as they like."""


class GithubFiles(Protocol):
    """The section [github] of relay.toml."""

    @property
    def app_id(self) -> int:
        """The App's number."""

    @property
    def client_id(self) -> str:
        """The App's name as an OAuth client."""

    @property
    def client_secret_file(self) -> Path:
        """The OAuth client's secret."""

    @property
    def private_key_file(self) -> Path:
        """RSA key in PEM."""

    @property
    def webhook_secret_file(self) -> Path:
        """One secret a line."""

    @property
    def api_url(self) -> str:
        """Without a slash at its end."""

    @property
    def web_url(self) -> str:
        """Without a slash at its end."""

    @property
    def ca_file(self) -> Path | None:
        """A further authority to trust."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GithubApp:
    """All that is needed to speak as the App."""

    app_id: int
    client_id: str
    client_secret: str = field(repr=False)
    private_key: str = field(repr=False)
    """PEM."""
    webhook_secrets: tuple[bytes, ...] = field(repr=False)
    """More than one while the secret is being changed."""
    api_url: str
    web_url: str
    tls: ssl.SSLContext = field(repr=False)
    """Trusts the system's authorities and the configured one."""


def load_app(files: GithubFiles) -> GithubApp:
    """Reads and checks the files that [github] names. Raises ConfigurationError with every problem, by key."""
    problems: list[str] = []
    private_key = _value(problems, _private_key, files.private_key_file)
    webhook_secrets = _value(problems, _webhook_secrets, files.webhook_secret_file)
    client_secret = _value(problems, _client_secret, files.client_secret_file)
    tls = _value(problems, _tls, files.ca_file)
    if private_key is None or webhook_secrets is None or client_secret is None or tls is None:
        raise ConfigurationError(*problems)
    return GithubApp(
        app_id=files.app_id,
        client_id=files.client_id,
        client_secret=client_secret,
        private_key=private_key,
        webhook_secrets=webhook_secrets,
        api_url=files.api_url,
        web_url=files.web_url,
        tls=tls,
    )


def _value(problems: list[str], load: Callable[[F], T], file: F) -> T | None:
    """What `load` makes of a file; None where it cannot, and then `problems` says why."""
    try:
        return load(file)
    except ConfigurationError as error:
        problems += error.problems
        return None


def _private_key(path: Path) -> str:
    private_key = _read("github.private_key_file", path)
    _try_key(private_key, path)
    return private_key


def _webhook_secrets(path: Path) -> tuple[bytes, ...]:
    lines = _read("github.webhook_secret_file", path).splitlines()
    secrets = tuple(line.strip().encode() for line in lines if line.strip())
    if not secrets or any(len(secret) < SHORTEST_SECRET_BYTES for secret in secrets):
        raise ConfigurationError(
            f"github.webhook_secret_file: {path}: must hold one secret a line, each of at least"
            f" {SHORTEST_SECRET_BYTES} characters"
        )
    return secrets


def _client_secret(path: Path) -> str:
    secret = _read("github.client_secret_file", path).strip()
    if not secret or len(secret.split()) > 1:
        raise ConfigurationError(f"github.client_secret_file: {path}: must hold one secret")
    return secret


def _read(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{key}: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{key}: {path}: not text") from error


def _try_key(private_key: str, path: Path) -> None:
    try:
        jwt.encode({}, private_key, algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        # The cause may quote the file: it is not kept.
        raise ConfigurationError(
            f"github.private_key_file: {path}: not an RSA private key in PEM, as GitHub gives it for download"
        ) from None


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(f"github.ca_file: {ca_file}: no PEM certificates can be read from it") from error
    return context
