"""The `signadot-relay` command line: demo, init, serve, check; keys and db are in `relay.administration`."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import trio
import typer

from certs import CertificateError
from relay import __version__, administration, config
from relay.app import Relay
from relay.demo.run import DemoOptions, run_demo
from relay.errors import ConfigurationError, InvalidError, RelayError, leaves
from relay.setup import initialise, try_out
from relay.telemetry import configure_logging

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130  # what shells and the command line library make of Ctrl-C

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="The relay: routes authenticated requests for previews over tunnels that agents in clusters keep up.",
)
cli.add_typer(administration.keys_commands, name="keys")
cli.add_typer(administration.db_commands, name="db")
ConfigOption = Annotated[Path, typer.Option("--config", help="The configuration file.", show_default=False)]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback shape
    if wanted:
        typer.echo(f"signadot-relay {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of all commands."""


@cli.command()
def demo(
    port: Annotated[
        int, typer.Option(help="The public port, on loopback; 0 takes a free one.", min=0, max=65535)
    ] = 8443,
    state_dir: Annotated[Path, typer.Option(help="Where the demo keeps its CA, keys and database.")] = Path("var/demo"),
    info: Annotated[Path | None, typer.Option(help="Write all addresses and keys to this JSON file.")] = None,
    exit_after_check: Annotated[
        bool, typer.Option("--exit-after-check", help="End with 0 once a request went through.")
    ] = False,
) -> None:
    """Bring up the whole path on this machine and send a request through it."""
    configure_logging(level="warning")
    trio.run(run_demo, DemoOptions(port=port, state_dir=state_dir, info=info, exit_after_check=exit_after_check))


@cli.command()
def init(
    config_file: ConfigOption,
    org: Annotated[str, typer.Option(help="The name of the first organisation.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make the schema, the master key if absent, the organisation and its first admin API key."""
    settings = config.load(config_file, os.environ)
    api_key = trio.run(initialise, settings, org)
    if as_json:
        typer.echo(json.dumps({"org": org, "api_key": api_key}))
    else:
        typer.echo(f"Organisation {org} is ready. Its admin API key, shown only now:\n\n    {api_key}\n")


@cli.command()
def serve(config_file: ConfigOption) -> None:
    """Run the relay until SIGTERM or SIGINT."""
    settings = _checked(config_file)
    configure_logging()
    trio.run(Relay(settings).run)


@cli.command()
def check(config_file: ConfigOption) -> None:
    """Say every problem of the configuration at once."""
    problems = try_out(_checked(config_file))
    if problems:
        raise ConfigurationError(*problems)
    typer.echo(f"{config_file}: no problems found")


def _checked(path: Path) -> config.Settings:
    settings = config.load(path, os.environ)
    problems = config.check_files(settings)
    if problems:
        raise ConfigurationError(*problems)
    return settings


def main() -> None:
    """The program: one clear line and a fitting exit code for a mistake of the person who runs it."""
    # The exit comes after the clauses: Python before 3.11.4 wraps what a clause raises into one more group.
    code = 0
    try:
        cli()
    except* (ConfigurationError, InvalidError, CertificateError) as group:
        code = _complain(group, EXIT_CONFIGURATION)
    except* (RelayError, OSError) as group:
        code = max(code, _complain(group, EXIT_FAILURE))
    except* KeyboardInterrupt:
        code = code or EXIT_INTERRUPTED
    sys.exit(code)


def _complain(group: BaseExceptionGroup[Exception], code: int) -> int:
    for error in leaves(group):
        for line in str(error).splitlines():
            sys.stderr.write(f"signadot-relay: {line}\n")
    return code
