"""`signadot member`."""

from typing import Annotated

import typer

from client.cli.context import api_of, group
from client.cli.keys import Role
from client.cli.output import Format, OutputOption, show

member = group("People of the org, who sign in with a browser.")
Login = Annotated[str, typer.Argument(help="What they are called at GitHub, or here.")]
COLUMNS = {
    "LOGIN": lambda item: item["login"],
    "ROLE": lambda item: item["role"],
    "FROM": lambda item: item["provider"],
    "ACTIVE": lambda item: "yes" if item["active"] else "no",
    "CHECKED": lambda item: item["checkedAt"],
}


@member.command("list")
def list_members(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """List the members of the org."""
    with api_of(context) as api:
        answer = api.list_all("members")
    show(answer, output, COLUMNS, answer["items"])


@member.command()
def get(context: typer.Context, login: Login, output: OutputOption = Format.TABLE) -> None:
    """Show one member."""
    with api_of(context) as api:
        answer = api.call("GET", "members", login)
    show(answer, output, COLUMNS, [answer])


@member.command("set-role")
def set_role(
    context: typer.Context,
    login: Login,
    role: Annotated[Role, typer.Argument(help="admin: everything; member: workspaces, and reading the rest.")],
    output: OutputOption = Format.TABLE,
) -> None:
    """Make a member an admin, or an admin a member."""
    with api_of(context) as api:
        answer = api.call("PUT", "members", login, body={"role": role.value})
    show(answer, output, COLUMNS, [answer])


@member.command()
def remove(context: typer.Context, login: Login) -> None:
    """End a member's place in the org, at once; whoever GitHub vouches for gets it back by signing in."""
    with api_of(context) as api:
        api.call("DELETE", "members", login)
    typer.echo(f"{login} is no longer a member")
