"""`signadot template`: from which the workspaces of pull requests are made."""

from pathlib import Path
from typing import Annotated

import typer

from client.cli.context import IfExistsOption, api_of, group, remove
from client.cli.output import Format, OutputOption, show
from client.cli.templates import read_template, read_text
from relay.errors import ConfigurationError

template = group("Templates, from which the workspaces of pull requests are made.")
Repository = Annotated[str, typer.Argument(metavar="OWNER/REPO", help="The repository on GitHub.")]
COLUMNS = {
    "REPOSITORY": lambda item: item["repository"],
    "CLUSTER": lambda item: item["spec"]["cluster"],
    "ENDPOINTS": lambda item: [endpoint["name"] for endpoint in item["spec"].get("endpoints", [])],
    "UPDATED": lambda item: item["updatedAt"],
}


@template.command()
def apply(
    context: typer.Context,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="YAML or JSON with repository and spec; - is standard input.")
    ],
    output: OutputOption = Format.TABLE,
) -> None:
    """Make the template of a repository, or replace it. Its placeholders are filled in for each pull request."""
    repository, spec = read_template(read_text(file), source=str(file))
    with api_of(context) as api:
        answer = api.call("PUT", "templates", *_parts(repository), body={"spec": spec})
    show(answer, output, COLUMNS, [answer])


@template.command()
def get(context: typer.Context, repository: Repository, output: OutputOption = Format.YAML) -> None:
    """Show one template, as YAML unless told: `apply` takes its repository and spec."""
    with api_of(context) as api:
        answer = api.call("GET", "templates", *_parts(repository))
    show(answer, output, COLUMNS, [answer])


@template.command("list")
def list_templates(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """List the templates of the org."""
    with api_of(context) as api:
        answer = api.list_all("templates")
    show(answer, output, COLUMNS, answer["items"])


@template.command()
def delete(context: typer.Context, repository: Repository, *, if_exists: IfExistsOption = False) -> None:
    """Delete a template; the workspaces made from it stay."""
    with api_of(context) as api:
        deleted = remove(api, "templates", *_parts(repository), if_exists=if_exists)
    typer.echo(f"the template of {repository} is deleted" if deleted else f"there is no template of {repository}")


def _parts(repository: str) -> tuple[str, str]:
    owner, slash, name = repository.partition("/")
    if not owner or not slash or not name or "/" in name:
        raise ConfigurationError(f"repository: {repository!r} must be OWNER/REPO")
    return owner, name
