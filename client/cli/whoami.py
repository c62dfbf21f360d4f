"""`signadot whoami` and `signadot completion`."""

from enum import Enum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script

from client.cli.context import api_of
from client.cli.output import Format, OutputOption, show

COLUMNS = {"ORG": lambda item: item["name"], "ROLE": lambda item: item["role"]}


class Shell(Enum):
    """Shells that can complete our commands."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def whoami(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Show which credential is used, and the orgs that it belongs to."""
    with api_of(context) as api:
        answer = api.whoami()
    if output is Format.TABLE:
        typer.echo(f"{answer['credential']['kind']} …{answer['credential']['lastFour']}")
    show(answer, output, COLUMNS, answer["items"])


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print a script that makes the shell complete commands and options; see docs/cli.md."""
    typer.echo(get_completion_script(prog_name="signadot", complete_var="_SIGNADOT_COMPLETE", shell=shell.value))
