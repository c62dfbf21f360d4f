"""`signadot apikey` and `signadot events`."""

from enum import Enum
from typing import Annotated

import typer

from client.cli.context import api_of, group
from client.cli.output import Format, OutputOption, show


class Role(Enum):
    """What an API key may do."""

    ADMIN = "admin"
    MEMBER = "member"


KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` shows it.")]
apikey = group("API keys of programs and people.")
events = group("Who changed what.")
COLUMNS = {
    "ID": lambda item: item["id"],
    "NAME": lambda item: item["name"],
    "KEY": lambda item: f"…{item['lastFour']}",
    "ROLE": lambda item: item["role"],
    "CREATED": lambda item: item["createdAt"],
    "LAST USED": lambda item: item["lastUsedAt"],
}
EVENT_COLUMNS = {
    "AT": lambda item: item["at"],
    "ACTION": lambda item: item["action"],
    "KIND": lambda item: item["object"]["kind"],
    "NAME": lambda item: item["object"]["name"],
    "BY": lambda item: _who(item["credential"]),
}


@apikey.command("create")
def create_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For people, to tell keys apart.")],
    role: Annotated[
        Role, typer.Option(help="admin: everything; member: workspaces, and reading the rest.")
    ] = Role.MEMBER,
) -> None:
    """Make an API key; prints only the key, which is shown this once."""
    with api_of(context) as api:
        typer.echo(api.call("POST", "api-keys", body={"name": name, "role": role.value})["key"])


@apikey.command("list")
def list_keys(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """List the API keys of the org, without their secrets."""
    with api_of(context) as api:
        answer = api.list_all("api-keys")
    show(answer, output, COLUMNS, answer["items"])


@apikey.command("get")
def get_key(context: typer.Context, key_id: KeyId, output: OutputOption = Format.TABLE) -> None:
    """Show one API key, without its secret."""
    with api_of(context) as api:
        answer = api.call("GET", "api-keys", key_id)
    show(answer, output, COLUMNS, [answer])


@apikey.command("delete")
def delete_key(context: typer.Context, key_id: KeyId) -> None:
    """Revoke an API key at once."""
    with api_of(context) as api:
        api.call("DELETE", "api-keys", key_id)
    typer.echo(f"API key {key_id} is revoked")


@events.command("list")
def list_events(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 100,
    output: OutputOption = Format.TABLE,
) -> None:
    """List the latest changes, newest first."""
    with api_of(context) as api:
        answer = api.list_all("events", limit=limit)
    show(answer, output, EVENT_COLUMNS, answer["items"])


def _who(credential: dict[str, str]) -> str:
    """A user by name; a program by the kind and the last characters of its credential."""
    if credential["name"]:
        return credential["name"]
    return f"{credential['kind']} …{credential['lastFour']}".removesuffix(" …")
