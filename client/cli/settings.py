"""Configuration of the command line: ~/.signadot/config.yaml, overridden by SIGNADOT_* in the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from client.cli.documents import parse_yaml
from relay.errors import ConfigurationError

DEFAULT_API_URL = "https://api.signadot.com"
DEFAULT_FILE = "~/.signadot/config.yaml"
VARIABLES = {
    "org": "SIGNADOT_ORG",
    "api_key": "SIGNADOT_API_KEY",
    "api_url": "SIGNADOT_API_URL",
    "ca_file": "SIGNADOT_CA_FILE",
    "proxy_address": "SIGNADOT_PROXY_ADDRESS",
    "tunnel_address": "SIGNADOT_TUNNEL_ADDRESS",
}
"""Keys of the file and the variables that override them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A host and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every command needs."""

    org: str
    api_key: str = field(repr=False)
    api: Address
    """Where the API is."""
    proxy: Address
    """Where CONNECT is served."""
    tunnel: Address
    """Where agents dial in."""
    ca_file: Path | None
    """PEM file of further trusted authorities; None for the system's."""


def load(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Reads the file (the default one may be absent) and the environment.

    Raises ConfigurationError with every problem at once.
    """
    default = path is None and "SIGNADOT_CONFIG" not in environment
    file = path or Path(environment.get("SIGNADOT_CONFIG", DEFAULT_FILE))
    values, problems = _read(file.expanduser(), may_be_absent=default)
    values |= {key: environment[name] for key, name in VARIABLES.items() if environment.get(name)}
    for key in ("org", "api_key"):
        if key not in values:
            problems.append(f"{key} is not set: put it into {file} or set {VARIABLES[key]}")
    if not re.fullmatch(r"[\x21-\x7e]*", values.get("api_key", "")):
        problems.append("api_key: must be ASCII without blanks")
    api = _api(values.get("api_url", DEFAULT_API_URL), problems)
    ca_file = Path(values["ca_file"]).expanduser() if "ca_file" in values else None
    if ca_file is not None and not ca_file.is_file():
        problems.append(f"ca_file: {ca_file}: there is no such file")
    proxy = _address("proxy", values, api, problems)
    tunnel = _address("tunnel", values, api, problems)
    if problems:
        raise ConfigurationError(*problems)
    return Settings(org=values["org"], api_key=values["api_key"], api=api, proxy=proxy, tunnel=tunnel, ca_file=ca_file)


def _read(file: Path, *, may_be_absent: bool) -> tuple[dict[str, str], list[str]]:
    try:
        document: Any = parse_yaml(file.read_text(encoding="utf-8"), str(file))
    except FileNotFoundError:
        return {}, [] if may_be_absent else [f"{file}: there is no such file"]
    except (OSError, UnicodeDecodeError) as error:
        return {}, [f"{file}: cannot be read: {error}"]
    except ConfigurationError as error:
        return {}, list(error.problems)
    if document is None:
        return {}, []
    if not isinstance(document, dict):
        return {}, [f"{file}: must be a mapping of keys to values"]
    problems = [
        f"{file}: {key}: {'must be text' if key in VARIABLES else 'unknown key'}"
        for key, value in document.items()
        if key not in VARIABLES or not isinstance(value, str)
    ]
    return {key: value for key, value in document.items() if key in VARIABLES and isinstance(value, str)}, problems


def _api(url: str, problems: list[str]) -> Address:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme != "https" or not host or parts.path.strip("/") or parts.query or parts.username:
        problems.append(f"api_url: {url!r} must be https://HOST[:PORT]")
        return Address(host="", port=0)
    return Address(host=host, port=443 if port is None else port)


def _address(name: str, values: Mapping[str, str], api: Address, problems: list[str]) -> Address:
    """The configured address, or the API's with `api.` replaced by the other name."""
    text = values.get(f"{name}_address")
    if text is None:
        return Address(host=f"{name}.{api.host.removeprefix('api.')}", port=api.port)
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 2**16:
        problems.append(f"{name}_address: {text!r} must be HOST:PORT")
        return api
    return Address(host=host, port=int(port))
