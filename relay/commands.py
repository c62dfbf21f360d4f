"""The `signadot-relay` command line; keys and db are in `relay.administration`.

What only some commands need is imported by them: without the API and the App on GitHub the others start in half the
time.
"""
# ruff: noqa: PLC0415

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import trio
import typer

from certs import CertificateError
from relay import __version__, administration, config
from relay.auth import Role
from relay.errors import ConfigurationError, InvalidError, RelayError, leaves
from relay.login_links import LinkRequest, make_login_link
from relay.setup import initialise, try_out
from relay.store.rows import Transaction
from relay.telemetry import configure_logging
from relay.workers import Program, Supervisor, take_post

MAX_WORKERS = 64
"""More than the cores of machines that this is made for; WELCOME has room for 256."""
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
org_cli = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Organisations.")
cli.add_typer(org_cli, name="org")
GithubOrgOption = Annotated[
    str | None, typer.Option("--github-org", help="The organisation or person on GitHub to link it to.")
]
AdminGithubOption = Annotated[
    str | None, typer.Option("--admin-github", help="The login of a GitHub user who becomes an admin of it.")
]
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
    from relay.demo.run import DemoOptions, run_demo

    configure_logging(level="warning")
    trio.run(run_demo, DemoOptions(port=port, state_dir=state_dir, info=info, exit_after_check=exit_after_check))


@cli.command()
def init(
    config_file: ConfigOption,
    *,
    org: Annotated[str, typer.Option(help="The name of the first organisation.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    github_org: GithubOrgOption = None,
    admin_github: AdminGithubOption = None,
) -> None:
    """Make the schema, the master key if absent, the organisation and its first admin API key."""
    settings = config.load(config_file, os.environ)
    api_key = trio.run(_initialise, settings, org, github_org, admin_github)
    if as_json:
        typer.echo(json.dumps({"org": org, "api_key": api_key}))
    else:
        typer.echo(f"Organisation {org} is ready. Its admin API key, shown only now:\n\n    {api_key}\n")


async def _initialise(settings: config.Settings, org: str, github_org: str | None, admin_github: str | None) -> str:
    if github_org is None:
        if admin_github is not None:
            raise ConfigurationError("--admin-github: needs --github-org, whose member they are")
        return await initialise(settings, org)
    from relay.github_setup import find_link, write_link

    link = await find_link(settings, github_org, admin=admin_github)

    def write(tx: Transaction, org_id: str) -> None:
        write_link(tx, org_id, link)

    return await initialise(settings, org, more=write)


@org_cli.command("link")
def link_to_github(
    config_file: ConfigOption,
    org: Annotated[str, typer.Option(help="The organisation.", show_default=False)],
    github_org: Annotated[str, typer.Option(help="The organisation or person on GitHub.", show_default=False)],
    admin_github: AdminGithubOption = None,
) -> None:
    """Link an organisation to an account on GitHub: its members may sign in, its pull requests count."""
    from relay.github_setup import link_org

    settings = config.load(config_file, os.environ)
    link = trio.run(partial(link_org, settings, org, github_org, admin=admin_github))
    typer.echo(f"Organisation {org} is linked to the GitHub account {github_org}.")
    if link.installation is None:
        typer.echo("The GitHub App is not installed there yet.")


@cli.command("login-link")
def login_link(
    config_file: ConfigOption,
    *,
    user: Annotated[str, typer.Option(help="Whom it signs in; made known if need be.", show_default=False)],
    org: Annotated[str | None, typer.Option(help="An organisation to make them a member of.")] = None,
    role: Annotated[Role | None, typer.Option(help="Their role there: member at first, else as it is.")] = None,
    minutes: Annotated[float, typer.Option(help="How long the link works.", min=1, max=1440)] = 10,
    port: Annotated[
        int | None, typer.Option(help="The public port, where it is not the one of listen.public.", min=1, max=65535)
    ] = None,
) -> None:
    """Print a URL that signs a person in, once, where they have no account at GitHub."""
    settings = config.load(config_file, os.environ)
    request = LinkRequest(user=user, org=org, role=role, seconds=minutes * 60, port=port)
    typer.echo(trio.run(make_login_link, settings, request))


@cli.command()
def serve(
    config_file: ConfigOption,
    workers: Annotated[int, typer.Option(help="How many processes share the port.", min=1, max=MAX_WORKERS)] = 1,
) -> None:
    """Run the relay until SIGTERM or SIGINT; with several workers SIGHUP replaces them one by one."""
    settings = _checked(config_file)
    configure_logging()
    if workers == 1:
        from relay.app import Relay

        trio.run(Relay(settings).run)
        return
    program = Program(config=config_file.absolute())
    code = trio.run(Supervisor(program, count=workers, load=partial(_checked, config_file)).run)
    if code:
        raise typer.Exit(code)


@cli.command(hidden=True)
def worker(config_file: ConfigOption, control: Annotated[int, typer.Option(help="The supervisor's socket.")]) -> None:
    """One of several processes; `serve --workers` starts it."""
    settings = _checked(config_file)
    configure_logging()
    trio.run(_work, settings, control)


async def _work(settings: config.Settings, control: int) -> None:
    from relay.app import Relay

    post = await take_post(control)
    structlog.contextvars.bind_contextvars(worker=post.assignment.slot)
    await Relay(settings, post=post).run()


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
