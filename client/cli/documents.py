"""YAML that people write: only what JSON knows too, so that nothing that looks like a date becomes one."""

import json
from typing import Any

import yaml

from relay.errors import ConfigurationError

_TAG = "tag:yaml.org,2002:"
_LEFT_OUT = frozenset(_TAG + name for name in ("timestamp", "binary", "set", "omap", "pairs"))
"""Types of YAML 1.1 that JSON has not: `2024-01-15` is an image's tag more often than a day."""


class _Loader(yaml.SafeLoader):
    """Reads text, numbers, true, false, null, lists and mappings."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's own table, with less in it
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LEFT_OUT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012 - the same
        tag: construct for tag, construct in yaml.SafeLoader.yaml_constructors.items() if tag not in _LEFT_OUT
    }


def parse_yaml(text: str, source: str) -> Any:
    """The document as JSON can carry it. `source` stands before what is wrong. Raises ConfigurationError."""
    try:
        document = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader with less in it
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{source}: {_problem(error)}") from error
    except ValueError as error:  # what looks like a number and is none, such as 0x_
        raise ConfigurationError(f"{source}: not valid YAML: {error}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{source}: is nested too deeply") from error
    try:
        json.dumps(document, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigurationError(f"{source}: cannot be written as JSON: {error}") from error
    return document


def _problem(error: yaml.YAMLError) -> str:
    """One line that says what is wrong with a YAML document and where."""
    mark = getattr(error, "problem_mark", None)
    place = "" if mark is None else f" in line {mark.line + 1}, column {mark.column + 1}"
    return f"not valid YAML{place}: {getattr(error, 'problem', None) or 'it cannot be parsed'}"
