"""Helm and the schemas of Kubernetes, in an environment of their own: a line of JSON in, a line of JSON out."""

import json
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import helm_python
import jsonschema
from referencing import Registry, Resource

CHECKED = "v{version}.0-local-strict"
"""Folders of the package kubernetes-validate; strict ones refuse fields that Kubernetes does not know."""


def render(*, chart: str, values: dict[str, Any], name: str, namespace: str) -> dict[str, str]:
    """What `helm template` prints, by file."""
    with helm_python.Chart.load(chart) as loaded:
        rendered: dict[str, str] = loaded.render(values, name=name, namespace=namespace)
        return rendered


def lint(*, chart: str, values: dict[str, Any]) -> list[str]:
    """What `helm lint --strict` complains about; severity 1 is a recommendation."""
    report = helm_python.lint(chart, values, strict=True)
    return [*report["errors"], *(f"{m['path']}: {m['error']}" for m in report["messages"] if m["severity"] > 1)]


def parse_set(*, text: str) -> dict[str, Any]:
    """The values that `--set TEXT` stands for."""
    values: dict[str, Any] = helm_python.parse_set_string(text)
    return values


def problems(*, document: dict[str, Any], version: str) -> list[str]:
    """What the API server of a version would refuse in an object."""
    group, _, api = document["apiVersion"].rpartition("/")
    stem = "-".join(part for part in (document["kind"].lower(), group.split(".")[0], api) if part)
    return _sentences(_validator(version, stem), document)


def violations(*, schema: dict[str, Any], document: Any) -> list[str]:
    """What a schema refuses in a document."""
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return _sentences(validator, document)


def _sentences(validator: Any, document: Any) -> list[str]:
    return [f"{'.'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(document)]


@cache
def _validator(version: str, stem: str) -> Any:
    return jsonschema.Draft202012Validator(_load(version, stem), registry=_registry(version))


@cache
def _registry(version: str) -> Any:
    return Resource.from_contents(_load(version, "_definitions")) @ Registry()


def _load(version: str, stem: str) -> Any:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / CHECKED.format(version=version)
    return json.loads((folder / f"{stem}.json").read_text(encoding="utf-8"))


ACTIONS: dict[str, Callable[..., Any]] = {
    action.__name__: action for action in (render, lint, parse_set, problems, violations)
}


def main() -> None:
    """Answers until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": ACTIONS[request.pop("do")](**request)}
        except helm_python.HelmError as error:
            answer = {"error": re.sub(r"\s+", " ", str(error))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
