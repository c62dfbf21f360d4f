"""The `signadot` command and its groups."""

from pathlib import Path
from typing import Annotated

import typer
from typer._completion_classes import completion_init

from client.cli.clusters import cluster
from client.cli.context import group
from client.cli.forward import port_forward
from client.cli.keys import apikey, events
from client.cli.logs import logs
from client.cli.members import member
from client.cli.pull_requests import template
from client.cli.whoami import completion, whoami
from client.cli.workspaces import workspace
from relay import __version__

completion_init()  # makes the shells known that `completion` prints scripts for
cli = group("Clusters, workspaces and credentials of a Signadot relay.")
cli.add_typer(cluster, name="cluster")
cli.add_typer(workspace, name="workspace")
cli.add_typer(template, name="template")
cli.add_typer(member, name="member")
cli.add_typer(apikey, name="apikey")
cli.add_typer(events, name="events")
cli.command("port-forward")(port_forward)
cli.command()(logs)
cli.command()(whoami)
cli.command()(completion)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback shape
    if wanted:
        typer.echo(f"signadot {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    *,
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="The configuration file; ~/.signadot/config.yaml unless SIGNADOT_CONFIG names one."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of all commands."""
    context.obj = config
