"""What the commands take from the root command."""

import os
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, cast

import typer

from client.cli.api import ApiClient
from client.cli.errors import ApiError
from client.cli.settings import Settings, load

IfExistsOption = Annotated[bool, typer.Option("--if-exists", help="Succeed as well when there is none.")]


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


def remove(api: ApiClient, *path: str, if_exists: bool) -> bool:
    """Deletes what the path names; False when it is not there and that is as good."""
    try:
        api.call("DELETE", *path)
    except ApiError as error:
        if if_exists and error.answer_status == HTTPStatus.NOT_FOUND:
            return False
        raise
    return True
