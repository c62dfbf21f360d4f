"""Printing answers: tables for people, JSON and YAML for programs."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any

import typer
import yaml


class Format(Enum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


OutputOption = Annotated[Format, typer.Option("--output", "-o", help="How to print the answer.")]
Columns = Mapping[str, Callable[[Any], Any]]
"""Headings, and what stands below each for one item."""


def show(answer: Any, output: Format, columns: Columns, rows: Iterable[Any]) -> None:
    """Prints the whole answer as JSON or YAML, or `rows` as a table."""
    if output is Format.JSON:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    elif output is Format.YAML:
        typer.echo(yaml.safe_dump(answer, sort_keys=False, allow_unicode=True), nl=False)
    else:
        for line in table(list(columns), [[read(row) for read in columns.values()] for row in rows]):
            typer.echo(line)


def table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """Aligned lines; plain text, never cut, so that it can be piped and copied from."""
    cells = [list(headings), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    if value is None or value in ("", []):
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
