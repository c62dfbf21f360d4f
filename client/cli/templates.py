"""Workspace files with placeholders: `@{key}` is text, `@{key[raw]}` is YAML, such as a number."""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from client.cli.documents import parse_yaml
from relay.errors import ConfigurationError

_KEY = r"[A-Za-z][A-Za-z0-9_.-]*"
_SETTING = re.compile(rf"({_KEY})=(.*)", re.DOTALL)
_PLACEHOLDER = re.compile(rf"@\{{({_KEY})\}}")
_RAW = re.compile(rf"@\{{({_KEY})\[raw\]\}}")


def read_text(file: Path) -> str:
    """The text of a file, `-` is standard input. Raises ConfigurationError."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text") from error


def parse_settings(settings: Iterable[str]) -> dict[str, str]:
    """Reads `key=value` arguments. Raises ConfigurationError."""
    values: dict[str, str] = {}
    for setting in settings:
        match = _SETTING.fullmatch(setting)
        if match is None:
            raise ConfigurationError(f"--set {setting}: must be KEY=VALUE")
        if match[1] in values:
            raise ConfigurationError(f"--set {match[1]}: is there twice")
        values[match[1]] = match[2]
    return values


def read_workspace(text: str, values: Mapping[str, str], *, source: str) -> tuple[str, dict[str, Any]]:
    """Name and spec of a workspace file with its placeholders replaced. `source` names the file in errors.

    Placeholders are replaced in the parsed document, so that a value can never change its structure.
    Raises ConfigurationError for bad YAML, a placeholder without value and a value without placeholder.
    """
    template = _Template(values, source)
    document = template.fill(parse_yaml(text, source))
    template.check()
    return _parts(document, "name", source)


def read_template(text: str, *, source: str) -> tuple[str, dict[str, Any]]:
    """Repository and spec of a template file; the relay replaces its placeholders, later. Raises ConfigurationError."""
    return _parts(parse_yaml(text, source), "repository", source)


def _parts(document: Any, key: str, source: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
        raise ConfigurationError(f"{source}: must have `{key}` and `spec`")
    if not isinstance(document.get(key), str):
        raise ConfigurationError(f"{source}: `{key}` must be text")
    if unknown := [str(name) for name in document if name not in {key, "spec"}]:
        raise ConfigurationError(f"{source}: unknown key {', '.join(unknown)}; only `{key}` and `spec` are known")
    return document[key], document["spec"]


class _Template:
    def __init__(self, values: Mapping[str, str], source: str) -> None:
        self._values = values
        self._source = source
        self._used: set[str] = set()
        self._missing: set[str] = set()

    def fill(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {key: self.fill(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.fill(value) for value in node]
        if not isinstance(node, str):
            return node
        if match := _RAW.fullmatch(node):
            return self._raw(match[1])
        return _PLACEHOLDER.sub(lambda match: self._value(match[1]), node)

    def check(self) -> None:
        problems = [f"{self._source}: @{{{key}}} has no value; give it with --set {key}=…" for key in self._missing]
        problems += [f"--set {key}: {self._source} has no @{{{key}}}" for key in self._values.keys() - self._used]
        if problems:
            raise ConfigurationError(*sorted(problems))

    def _value(self, key: str) -> str:
        self._used.add(key)
        if key not in self._values:
            self._missing.add(key)
        return self._values.get(key, "")

    def _raw(self, key: str) -> Any:
        return parse_yaml(self._value(key), f"--set {key}")
