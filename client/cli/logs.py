"""`signadot logs`: the logs of a workspace's pods, as they come."""

import re
import sys
from typing import Annotated, Any

import typer

from client.cli.context import api_of
from relay.errors import ConfigurationError

NOTE = b"# "
"""What a line of the relay's own begins with."""
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# All that moves a cursor, colours, or turns the direction of writing; tabs stay.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def logs(
    *,
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="WORKSPACE", help="The workspace's name.")],
    pod: Annotated[str, typer.Option("--pod", help="Only this pod.")] = "",
    container: Annotated[str, typer.Option("--container", "-c", help="Only this container of each pod.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    since: Annotated[str, typer.Option("--since", help="Only what is no older: 30s, 10m, 2h, 1d.")] = "",
    tail: Annotated[int | None, typer.Option("--tail", min=0, help="Only the last lines of each container.")] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Show when each line was written.")] = False,
) -> None:
    """Print the logs of a workspace's pods, each line behind POD/CONTAINER."""
    query: dict[str, Any] = {
        "pod": pod,
        "container": container,
        "follow": "true" if follow else "",
        "sinceSeconds": seconds_of(since) if since else "",
        "tailLines": "" if tail is None else tail,
        "timestamps": "true" if timestamps else "",
    }
    chosen = {key: str(value) for key, value in query.items() if value != ""}
    with api_of(context) as api:
        for line in api.stream_lines("workspaces", name, "logs", query=chosen):
            show(line)


def seconds_of(text: str) -> int:
    """Reads `10m`. Raises ConfigurationError."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if match is None:
        raise ConfigurationError(f"--since {text}: must be a number with s, m, h or d, for example 10m")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def show(line: bytes) -> None:
    """Prints one line: bytes as they are, but for a terminal, which would obey some of them."""
    is_note = line.startswith(NOTE)
    stream = sys.stderr if is_note else sys.stdout
    shown = line.removeprefix(NOTE)
    if stream.isatty():
        shown = neutral(shown).encode("utf-8", "replace")
    stream.buffer.write((b"signadot: " if is_note else b"") + shown + b"\n")
    stream.flush()


def neutral(line: bytes) -> str:
    """A line in which no character does anything to a terminal."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], line.decode("utf-8", "replace"))
