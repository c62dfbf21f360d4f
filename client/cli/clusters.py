"""`signadot cluster` and `signadot cluster token`."""

import shlex
from typing import Annotated, Any

import typer

from client.cli.context import IfExistsOption, api_of, group, remove, settings_of
from client.cli.output import Format, OutputOption, show
from client.cli.settings import Settings

CHART = "deploy/helm/signadot-operator"
NAMESPACE = "signadot"
SECRET = "cluster-agent"  # noqa: S105 - the name of a Kubernetes Secret

cluster = group("Kubernetes clusters that agents connect.")
token = group("Tokens with which agents log in.")
cluster.add_typer(token, name="token")

Name = Annotated[str, typer.Argument(help="The cluster's name.")]
ClusterOption = Annotated[str, typer.Option("--cluster", help="The cluster's name.", show_default=False)]
COLUMNS = {
    "NAME": lambda item: item["name"],
    "STATUS": lambda item: "online" if item["status"]["online"] else "offline",
    "SINCE": lambda item: item["status"]["since"],
    "TUNNELS": lambda item: item["status"]["tunnels"],
    "AGENT": lambda item: item["status"]["agentVersions"],
    "KUBERNETES": lambda item: item["status"].get("kubernetesVersions"),
    "CAPABILITIES": lambda item: item["status"].get("capabilities"),
    "CREATED": lambda item: item["createdAt"],
}
TOKEN_COLUMNS = {
    "ID": lambda item: item["id"],
    "TOKEN": lambda item: f"…{item['lastFour']}",
    "DESCRIPTION": lambda item: item["description"],
    "CREATED": lambda item: item["createdAt"],
    "LAST USED": lambda item: item["lastUsedAt"],
}


@cluster.command()
def add(context: typer.Context, name: Name, output: OutputOption = Format.TABLE) -> None:
    """Register a cluster, make a token for its agent, and print how to install the agent."""
    settings = settings_of(context)
    with api_of(context) as api:
        registered = api.call("PUT", "clusters", name, body={})
        made = api.call("POST", "clusters", name, "tokens", body={"description": "signadot cluster add"})
    lines = install_lines(settings, made["token"])
    if output is Format.TABLE:
        typer.echo(_page(name, lines))
    else:
        show({"cluster": registered, "token": made["token"], **lines}, output, {}, ())


@cluster.command("list")
def list_clusters(context: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """List the clusters of the org."""
    with api_of(context) as api:
        answer = api.list_all("clusters")
    show(answer, output, COLUMNS, answer["items"])


@cluster.command()
def get(context: typer.Context, name: Name, output: OutputOption = Format.TABLE) -> None:
    """Show one cluster."""
    with api_of(context) as api:
        answer = api.call("GET", "clusters", name)
    show(answer, output, COLUMNS, [answer])


@cluster.command()
def delete(context: typer.Context, name: Name, *, if_exists: IfExistsOption = False) -> None:
    """Delete a cluster without workspaces; its tokens end with it."""
    with api_of(context) as api:
        deleted = remove(api, "clusters", name, if_exists=if_exists)
    typer.echo(f"cluster {name} is deleted" if deleted else f"there is no cluster {name}")


@token.command("create")
def create_token(
    context: typer.Context,
    cluster: ClusterOption,
    description: Annotated[str, typer.Option(help="For people, to tell tokens apart.")] = "",
) -> None:
    """Make a token; prints only the token, which is shown this once."""
    with api_of(context) as api:
        typer.echo(api.call("POST", "clusters", cluster, "tokens", body={"description": description})["token"])


@token.command("list")
def list_tokens(context: typer.Context, cluster: ClusterOption, output: OutputOption = Format.TABLE) -> None:
    """List the tokens of a cluster, without their secrets."""
    with api_of(context) as api:
        answer = api.list_all("clusters", cluster, "tokens")
    show(answer, output, TOKEN_COLUMNS, answer["items"])


@token.command("delete")
def delete_token(
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `list` shows it.")],
    cluster: ClusterOption,
) -> None:
    """Revoke a token; agents that use it are disconnected at once."""
    with api_of(context) as api:
        api.call("DELETE", "clusters", cluster, "tokens", token_id)
    typer.echo(f"token {token_id} is revoked")


def install_lines(settings: Settings, secret: str) -> dict[str, Any]:
    """The commands that bring an agent into a cluster, each ready to be pasted."""
    helm = (
        f"helm upgrade --install signadot-operator {CHART} --namespace {NAMESPACE} --create-namespace"
        f" --set relay.address={settings.tunnel}"
    )
    agent = f"signadot-agent run --relay {settings.tunnel} --token-file TOKEN_FILE"
    if settings.ca_file is not None:
        # A relay whose certificate only this authority vouches for: the agent must be told of it as well.
        path = shlex.quote(str(settings.ca_file))
        helm += f" --set-file relay.ca.pem={path}"
        agent += f" --ca-file {path}"
    return {
        "helm": f"{helm} --set-string agent.clusterToken={secret}",
        # The chart finds a Secret of this name and key by itself.
        "kubectl": [
            f"kubectl create namespace {NAMESPACE}",
            f"kubectl create secret generic {SECRET} --namespace {NAMESPACE} --from-literal=token={secret}",
            helm,
        ],
        "agent": agent,
    }


def _page(name: str, lines: dict[str, Any]) -> str:
    kubectl = "\n    ".join(lines["kubectl"])
    return (
        f"Cluster {name} is registered. Its token is in these lines and is not shown again.\n\n"
        f"Install the agent with Helm:\n\n    {lines['helm']}\n\n"
        f"Or keep the token out of Helm's values, and make its Secret first:\n\n    {kubectl}\n\n"
        f"Or, anywhere else that reaches the targets, with the token in a file:\n\n    {lines['agent']}"
    )
