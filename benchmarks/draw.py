"""`python -m benchmarks draw A.json`: the pictures of a result, one for each family of scenarios, beside it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.document import read
from benchmarks.processes import BenchmarkError
from benchmarks.result import families

FORMATS = ("svg", "png")


def main(arguments: Sequence[str]) -> None:
    """Draws and says what was written. Raises BenchmarkError for a file that is no result, or without matplotlib."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks draw", description=__doc__)
    parser.add_argument("result", type=Path, metavar="A.json")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="default: %(default)s")
    parser.add_argument("--folder", type=Path, help="where to (default: beside the result)")
    chosen = parser.parse_args(arguments)
    for path in draw(chosen.result, folder=chosen.folder or chosen.result.parent, file_format=chosen.format):
        sys.stdout.write(f"drawn: {path}\n")


def draw_beside(path: Path, console: Console) -> None:
    """Draws the pictures of a result just written; says why where it cannot, as the figures are there all the same."""
    try:
        for picture in draw(path, folder=path.parent, file_format=FORMATS[0]):
            console.print(f"drawn: {picture}", soft_wrap=True)
    except BenchmarkError as error:
        console.print(f"no pictures: {error}", markup=False)


def draw(path: Path, *, folder: Path, file_format: str) -> list[Path]:
    """Writes a picture for each family into the folder; gives their paths. Raises BenchmarkError."""
    document = read(path)
    try:
        # matplotlib is needed by nothing else and is not installed for tests.
        from benchmarks import pictures  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BenchmarkError(f"{error.name} is not installed (`make bench` does it)") from error
    written = []
    for family, results in families(document.results).items():
        output = folder / f"{path.stem}-{family}.{file_format}"
        if pictures.draw(results, output=output, document=document):
            written.append(output)
    return written
