"""Settings of a relay process: relay.toml, overridden by SIGNADOT_RELAY__SECTION__KEY, checked all at once."""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from pydantic import model_validator as validate_model

from relay.errors import ConfigurationError

ENVIRONMENT_PREFIX = "SIGNADOT_RELAY__"
SQLITE_PREFIX = "sqlite:///"
_HOSTNAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_URL = re.compile(r"https://[a-z0-9.-]{1,253}(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")


def split_address(value: str) -> tuple[str, int]:
    """Splits `host:port` (or `[ipv6]:port`). Raises ValueError with a sentence."""
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:  # noqa: PLR2004 - 16 bits
        raise ValueError("must be HOST:PORT, for example 0.0.0.0:8443")
    return host.removeprefix("[").removesuffix("]"), int(port)


def print_address(address: tuple[str, int]) -> str:
    """host:port, an IPv6 address in brackets: what `split_address` reads."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(value: str) -> str:
    split_address(value)
    return value


def _hostname(value: str) -> str:
    if not _HOSTNAME.fullmatch(value):
        raise ValueError("must be a DNS name in lower case, without port")
    return value


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError("must be https://HOST[:PORT][/PATH] without query and without a slash at its end")
    return value


Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]
Hostname = Annotated[str, AfterValidator(_hostname)]
MONTH_SECONDS = 30 * 24 * 3600
"""Whatever takes longer is forgotten, not awaited; and clocks, sockets and databases count in numbers with an end."""
Seconds = Annotated[float, Field(gt=0, le=MONTH_SECONDS, allow_inf_nan=False)]
LoginSeconds = Annotated[float, Field(gt=0, le=365 * 24 * 3600, allow_inf_nan=False)]
QuerySeconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Listen(_Section):
    """Where the relay listens."""

    public: Address = "0.0.0.0:8443"
    """One TLS port for visitors, API, app host and agents."""
    tunnels: Address = "0.0.0.0:8444"
    """With several workers: where the first one listens for agents; each further one has the next port."""
    metrics: Address = "127.0.0.1:9090"
    """Plain HTTP: /metrics /livez /readyz; not for the outside."""


class Hosts(_Section):
    """The names this relay answers to; the preview domain stands for one label below it."""

    preview: Hostname = "preview.signadot.com"
    api: Hostname = "api.signadot.com"
    app: Hostname = "app.signadot.com"
    tunnel: Hostname = "tunnel.signadot.com"
    proxy: Hostname = "proxy.signadot.com"

    @validate_model(mode="after")
    def _are_told_apart(self) -> Self:
        names = [self.preview, self.api, self.app, self.tunnel, self.proxy]
        if len(set(names)) < len(names):
            raise ValueError("the five names must differ")
        inside = [name for name in names[1:] if name.endswith("." + self.preview)]
        if inside:
            raise ValueError(f"{', '.join(inside)} must not be inside the preview domain {self.preview}")
        return self


class Tls(_Section):
    """The certificate of all five names and its key, PEM files; read again when they change."""

    certificate: Path
    key: Path


class Store(_Section):
    """The database."""

    url: Annotated[str, Field(pattern=r"^(sqlite:///.+|postgresql://.+)", repr=False)] = "sqlite:///var/relay.db"
    """`sqlite:///PATH`, or `postgresql://USER@HOST[:PORT]/DATABASE[?sslmode=…&sslrootcert=…]`."""
    password_file: Path | None = None
    """The password of the PostgreSQL user, where it is not in the URL."""


class Keys(_Section):
    """Where secrets come from."""

    master: Path = Path("var/master.key")
    """32 random bytes in base64, mode 0600; `signadot-relay init` makes it."""


class Github(_Section):
    """The GitHub App, and where GitHub is; without this section nobody signs in by GitHub."""

    app_id: PositiveInt
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: Path
    private_key_file: Path
    webhook_secret_file: Path
    api_url: Url = "https://api.github.com"
    """For GitHub Enterprise Server `https://HOST/api/v3`."""
    web_url: Url = "https://github.com"
    ca_file: Path | None = None
    """PEM file of a further authority to trust, for an Enterprise server with a certificate of its own."""


class Limits(_Section):
    """Every limit with its unit in the name; docs/limits.md gives the reason for each default."""

    request_line_bytes: PositiveInt = 8192
    head_bytes: PositiveInt = 32768
    header_count: PositiveInt = 128
    chunk_line_bytes: PositiveInt = 4096
    handshake_seconds: Seconds = 10
    head_seconds: Seconds = 10
    body_idle_seconds: Seconds = 30
    write_stalled_seconds: Seconds = 30
    keep_alive_idle_seconds: Seconds = 75
    response_head_seconds: Seconds = 60
    response_idle_seconds: Seconds = 300
    upgraded_idle_seconds: Seconds = 3600
    connections_per_address: PositiveInt = 1024
    requests_per_cluster: PositiveInt = 2048
    public_requests_per_address: PositiveInt = 64
    streams_per_tunnel: PositiveInt = 4096
    keepalive_seconds: Annotated[float, Field(ge=1, le=300, allow_inf_nan=False)] = 15
    receive_budget_bytes: PositiveInt = 512 * 1024 * 1024
    api_body_bytes: PositiveInt = 1024 * 1024
    api_bodies_bytes: PositiveInt = 16 * 1024 * 1024
    drain_seconds: Seconds = 30
    query_seconds: QuerySeconds = 5
    login_seconds: LoginSeconds = 7 * 24 * 3600
    preview_login_seconds: Annotated[float, Field(ge=60, le=3600, allow_inf_nan=False)] = 3600
    membership_check_seconds: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = 300
    membership_grace_seconds: Annotated[float, Field(ge=0, le=MONTH_SECONDS, allow_inf_nan=False)] = 3600
    api_requests_per_minute: PositiveInt = 600
    delivery_attempts: PositiveInt = 20
    log_seconds: Seconds = 3600
    log_streams_per_org: PositiveInt = 16
    log_containers_per_org: PositiveInt = 64


class Settings(_Section):
    """All settings of a relay process."""

    listen: Listen = Listen()
    hosts: Hosts = Hosts()
    tls: Tls
    store: Store = Store()
    keys: Keys = Keys()
    github: Github | None = None
    limits: Limits = Limits()


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Reads relay.toml and the environment. Relative paths are relative to the file's folder.

    Raises ConfigurationError with every problem at once, each with its key's path.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error
    return parse(document, environment, source=str(path), folder=path.absolute().parent)


def parse(document: Mapping[str, Any], environment: Mapping[str, str], *, source: str, folder: Path) -> Settings:
    """Checks a parsed document together with the environment's overrides; see `load`."""
    merged: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in document.items()}
    problems = list(_apply_environment(merged, environment))
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        problems += [f"{source}: {_path_of(problem['loc'])}: {_sentence(problem)}" for problem in error.errors()]
        raise ConfigurationError(*problems) from error
    if problems:
        raise ConfigurationError(*problems)
    return _resolve_paths(settings, folder)


def check_files(settings: Settings) -> list[str]:
    """Problems that only the file system shows, each one a sentence; empty when all is well."""
    problems = []
    for name, path in _needed_files(settings):
        try:
            path.open("rb").close()
        except OSError as error:
            hint = " (`signadot-relay init` makes it)" if name == "keys.master" else ""
            problems.append(f"{name}: {path}: {error.strerror}{hint}")
    for name, path in _needed_files(settings):
        try:
            if is_exposed(path.stat(), _FORBIDDEN_MODES.get(name, 0o007), reader=os.geteuid()):
                problems.append(f"{name}: {path}: readable by others; chmod 600 it")
        except OSError:
            continue  # said above
    return problems


def is_exposed(status: os.stat_result, forbidden: int = 0o077, *, reader: int) -> bool:
    """Whether a file's mode has one of the `forbidden` bits; `reader` is the effective user id of the process.

    Root's file may be readable by its group where the process is not root: it can read it no other way. So Kubernetes
    mounts the files of a Secret (root, the pod's fsGroup, 0440).
    """
    if status.st_uid == 0 and reader != 0:
        forbidden &= ~0o040
    return bool(status.st_mode & forbidden)


_FORBIDDEN_MODES = {"keys.master": 0o077, "tls.certificate": 0, "store.password_file": 0o077, "github.ca_file": 0}


def _needed_files(settings: Settings) -> Iterable[tuple[str, Path]]:
    yield "tls.certificate", settings.tls.certificate
    yield "tls.key", settings.tls.key
    yield "keys.master", settings.keys.master
    if settings.store.password_file is not None:
        yield "store.password_file", settings.store.password_file
    if (github := settings.github) is not None:
        yield "github.client_secret_file", github.client_secret_file
        yield "github.private_key_file", github.private_key_file
        yield "github.webhook_secret_file", github.webhook_secret_file
        if github.ca_file is not None:
            yield "github.ca_file", github.ca_file


def _apply_environment(document: dict[str, Any], environment: Mapping[str, str]) -> Iterable[str]:
    for name, value in sorted(environment.items()):
        if not name.startswith(ENVIRONMENT_PREFIX):
            continue
        parts = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        section = document.setdefault(parts[0], {})
        if len(parts) != 2 or not isinstance(section, dict):  # noqa: PLR2004 - section and key
            yield f"{name}: must be {ENVIRONMENT_PREFIX}SECTION__KEY"
        else:
            section[parts[1]] = value


def _path_of(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "document"


def _sentence(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown key"
    if problem["type"] == "missing":
        return "missing"
    message: str = problem["msg"]
    return message.removeprefix("Value error, ")


def _resolve_paths(settings: Settings, folder: Path) -> Settings:
    """Relative paths of the file made relative to its folder, wherever the process runs."""
    store, github = settings.store, settings.github
    url = store.url
    if url.startswith(SQLITE_PREFIX):
        url = f"{SQLITE_PREFIX}{folder / url.removeprefix(SQLITE_PREFIX)}"
    else:
        url = _resolve_url_files(url, folder)
    return settings.model_copy(
        update={
            "tls": Tls(certificate=folder / settings.tls.certificate, key=folder / settings.tls.key),
            "keys": Keys(master=folder / settings.keys.master),
            "store": store.model_copy(update={"url": url, "password_file": _below(folder, store.password_file)}),
            "github": None
            if github is None
            else github.model_copy(
                update={
                    "client_secret_file": folder / github.client_secret_file,
                    "private_key_file": folder / github.private_key_file,
                    "webhook_secret_file": folder / github.webhook_secret_file,
                    "ca_file": _below(folder, github.ca_file),
                }
            ),
        }
    )


_URL_FILE = re.compile(r"([?&]ssl(?:rootcert|cert|key)=)(?!/|%2[Ff])([^&]+)")


def _resolve_url_files(url: str, folder: Path) -> str:
    return _URL_FILE.sub(lambda match: match[1] + quote(f"{folder}/{unquote(match[2])}"), url)


def _below(folder: Path, path: Path | None) -> Path | None:
    return None if path is None else folder / path
