"""What the commands take from the root command."""

import os
from pathlib import Path
from typing import cast

import typer

from client.cli.api import ApiClient
from client.cli.settings import Settings, load


def settings_of(context: typer.Context) -> Settings:
    """The configuration, read when a command needs it. Raises ConfigurationError."""
    return load(cast("Path | None", context.obj), os.environ)


def api_of(context: typer.Context) -> ApiClient:
    """A client of the API. Raises ConfigurationError."""
    return ApiClient(settings_of(context))


def group(help_text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help=help_text,
        add_completion=False,
    )
