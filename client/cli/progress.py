"""What is said while something is awaited: on standard error, so that answers stay alone on standard output."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Gives a function that says how things stand: a line that moves in a terminal, else a line for each change."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status("") as status:
            yield lambda message: status.update(Text(message))
    else:
        yield _lines()


def _lines() -> Callable[[str], None]:
    said = ""

    def say(message: str) -> None:
        nonlocal said
        if message != said:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
            said = message

    return say
