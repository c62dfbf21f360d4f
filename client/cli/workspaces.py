"""`signadot workspace`."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from client.cli.api import ApiClient
from client.cli.context import IfExistsOption, api_of, group, remove
from client.cli.errors import NotReadyError
from client.cli.output import Format, OutputOption, show
from client.cli.progress import progress
from client.cli.templates import parse_settings, read_text, read_workspace

POLL_SECONDS = 1.0

workspace = group("Isolated preview environments.")
Name = Annotated[str, typer.Argument(help="The workspace's name.")]
COLUMNS = {
    "NAME": lambda item: item["name"],
    "CLUSTER": lambda item: item["spec"]["cluster"],
    "STATUS": lambda item: item["status"]["reason"],
    "ENDPOINTS": lambda item: [endpoint["name"] for endpoint in item["endpoints"]],
    "UPDATED": lambda item: item["updatedAt"],
}
POD_COLUMNS = {
    "POD": lambda item: item["name"],
    "NAMESPACE": lambda item: item["namespace"],
    "ORIGIN": lambda item: item["origin"],
    "PHASE": lambda item: item["phase"],
    "CONTAINERS": lambda item: [
        f"{container['name']} {container['reason'] or container['state']}" for container in item["containers"]
    ],
    "RESTARTS": lambda item: sum(container["restarts"] for container in item["containers"]),
}
ENDPOINT_COLUMNS = {"ENDPOINT": lambda item: item["name"], "URL": lambda item: item["url"]}


@workspace.command()
def apply(
    *,
    context: typer.Context,
    file: Annotated[Path, typer.Option("--file", "-f", help="YAML or JSON with name and spec; - is standard input.")],
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replaces @{KEY} in the file.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the workspace is ready.")] = False,
    wait_seconds: Annotated[float, typer.Option("--wait-timeout", help="Longest wait, in seconds.", min=0)] = 300,
    output: OutputOption = Format.TABLE,
) -> None:
    """Make a workspace, or bring it to what the file says; prints its endpoints and URLs."""
    name, spec = read_workspace(read_text(file), parse_settings(values or []), source=str(file))
    with api_of(context) as api:
        answer = api.call("PUT", "workspaces", name, body={"spec": spec})
        if wait:
            answer = wait_until_ready(api, answer, wait_seconds, time.monotonic)
    show(answer, output, ENDPOINT_COLUMNS, answer["endpoints"])


@workspace.command()
def get(context: typer.Context, name: Name, output: OutputOption = Format.TABLE) -> None:
    """Show one workspace: its state, then its endpoints."""
    with api_of(context) as api:
        answer = api.call("GET", "workspaces", name)
    if output is Format.TABLE:
        typer.echo(f"{name} in cluster {answer['spec']['cluster']}: {answer['status']['message']}")
    show(answer, output, ENDPOINT_COLUMNS, answer["endpoints"])


@workspace.command("list")
def list_workspaces(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """List the workspaces of the org."""
    with api_of(context) as api:
        answer = api.list_all("workspaces")
    show(answer, output, COLUMNS, answer["items"])


@workspace.command()
def pods(context: typer.Context, name: Name, output: OutputOption = Format.TABLE) -> None:
    """List the pods of a workspace."""
    with api_of(context) as api:
        answer = api.call("GET", "workspaces", name, "pods")
    show(answer, output, POD_COLUMNS, answer["items"])


@workspace.command()
def delete(context: typer.Context, name: Name, *, if_exists: IfExistsOption = False) -> None:
    """Delete a workspace; its previews are gone at once."""
    with api_of(context) as api:
        deleted = remove(api, "workspaces", name, if_exists=if_exists)
    typer.echo(f"workspace {name} is deleted" if deleted else f"there is no workspace {name}")


def wait_until_ready(api: ApiClient, answer: Any, seconds: float, now: Callable[[], float]) -> Any:
    """Asks again until the workspace is ready, and says meanwhile what is missing.

    Raises NotReadyError after `seconds`.
    """
    deadline = now() + seconds
    with progress() as say:
        while not answer["status"]["ready"]:
            message = answer["status"]["message"]
            if now() >= deadline:
                raise NotReadyError(f"workspace {answer['name']} is not ready after {seconds:g} s: {message}")
            say(f"waiting for workspace {answer['name']}: {message}")
            time.sleep(min(POLL_SECONDS, max(0.0, deadline - now())))
            answer = api.call("GET", "workspaces", answer["name"], seconds=max(0.0, deadline - now()))
    return answer
