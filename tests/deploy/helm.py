"""Helm as the tests see it, and the objects that a chart renders."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-helm"
CHARTS = ROOT / "deploy" / "helm"
OPERATOR, RELAY = "signadot-operator", "signadot-relay"

OLDEST, NEWEST = "1.25", "1.37"
"""Versions of Kubernetes that rendered objects are checked against; Chart.yaml says the oldest one too."""

Document = dict[str, Any]


class HelmError(Exception):
    """Helm refused, in one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a chart renders to."""

    notes: str
    documents: Sequence[Document]

    def all(self, kind: str) -> list[Document]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Document:
        found = [document for document in self.all(kind) if name in {None, document["metadata"]["name"]}]
        assert len(found) == 1, f"{len(found)} objects of kind {kind}"
        return found[0]

    def pod(self) -> Document:
        spec: Document = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    def container(self) -> Document:
        (container,) = self.pod()["containers"]
        found: Document = container
        return found

    def environment(self) -> dict[str, str]:
        """The variables of the container that are given as text."""
        return {entry["name"]: entry["value"] for entry in self.container().get("env", []) if "value" in entry}


class Helm:
    """A process of the other virtual environment, which renders and validates."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [VENV / "bin" / "python", Path(__file__).with_name("helm_side.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate()

    def render(self, chart: str, values: Mapping[str, Any], *, name: str = "", namespace: str = "signadot") -> Rendered:
        """Raises HelmError with what Helm says to the person who installs."""
        files: dict[str, str] = self._ask(
            "render", chart=str(CHARTS / chart), values=values, name=name or chart, namespace=namespace
        )
        documents: list[Document] = []
        for path, text in sorted(files.items()):
            if not path.endswith(".txt"):
                documents += [document for document in yaml.safe_load_all(text) if document]
        return Rendered(notes=files[f"{chart}/templates/NOTES.txt"], documents=documents)

    def lint(self, chart: str, values: Mapping[str, Any]) -> list[str]:
        found: list[str] = self._ask("lint", chart=str(CHARTS / chart), values=values)
        return found

    def parse_set(self, text: str) -> Document:
        values: Document = self._ask("parse_set", text=text)
        return values

    def problems(self, document: Document, *, version: str) -> list[str]:
        found: list[str] = self._ask("problems", document=document, version=version)
        return found

    def violations(self, schema: Document, document: Any) -> list[str]:
        found: list[str] = self._ask("violations", schema=schema, document=document)
        return found

    def _ask(self, do: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise HelmError(answer["error"])
        return answer["result"]
