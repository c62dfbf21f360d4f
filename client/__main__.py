"""`signadot-agent`: the command line of the agent."""

import argparse
import gc
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import trio

from client import __version__
from client.agent import run_agent
from client.kubernetes.settings import KubernetesFlags
from client.log import configure_log
from client.settings import Flags, Settings, load_settings
from client.token import WatchedToken
from relay.errors import ConfigurationError, leaves

WRONG_USAGE = 2
"""Exit code for flags, variables and files that cannot be used."""
FAILED = 1
"""Exit code for a failure at run time."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code: 0 after an orderly stop, 2 for wrong usage, 1 for a failure."""
    options = _parser().parse_args(arguments)
    try:
        settings, token = _load(options, os.environ)
    except ConfigurationError as error:
        sys.stderr.writelines(f"signadot-agent: {problem}\n" for problem in error.problems)
        return WRONG_USAGE
    configure_log()
    # What was imported lives as long as the process: the collector need not look at it again and again.
    gc.freeze()
    code = 0
    try:
        trio.run(run_agent, settings, token)
    except* OSError as group:
        # What reaches this point concerns the agent's own sockets; a relay or a target that fails never does.
        sys.stderr.writelines(f"signadot-agent: {error}\n" for error in leaves(group))
        code = FAILED
    except* KeyboardInterrupt:
        code = INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="signadot-agent", description="Connects this cluster to a relay.")
    parser.add_argument("--version", action="version", version=f"signadot-agent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="keep a tunnel to the relay and serve its streams")
    run.add_argument("--relay", metavar="HOST[:PORT]", help="the relay's public address (SIGNADOT_RELAY)")
    run.add_argument("--token-file", metavar="FILE", help="file with the cluster token (SIGNADOT_TOKEN_FILE)")
    run.add_argument("--ca-file", metavar="FILE", help="certificates to trust for the relay (SIGNADOT_CA_FILE)")
    run.add_argument(
        "--allow-target",
        metavar="PATTERN",
        action="append",
        default=[],
        help="what may be dialled, such as *.shop.svc:8080 or 10.1.0.0/16:*; repeatable (SIGNADOT_ALLOW_TARGETS; "
        "default: *.*.svc:*)",
    )
    run.add_argument("--transport", metavar="tls|websocket", help="how to reach the relay (SIGNADOT_TRANSPORT)")
    run.add_argument("--health", metavar="HOST:PORT", help="where health is served (SIGNADOT_HEALTH; 127.0.0.1:8088)")
    run.add_argument("--cluster-domain", metavar="NAME", help="the cluster's DNS domain (SIGNADOT_CLUSTER_DOMAIN)")
    run.add_argument(
        "--drain-seconds",
        metavar="SECONDS",
        help="how long open streams may go on after SIGTERM (SIGNADOT_DRAIN_SECONDS; 30)",
    )
    _add_kubernetes(run.add_argument_group("Kubernetes", "what the relay may ask of the API server, and where that is"))
    return parser


def _add_kubernetes(group: "argparse._ArgumentGroup") -> None:
    switch = argparse.BooleanOptionalAction
    group.add_argument(
        "--kubernetes", metavar="auto|off", help="off: never contact the API server (SIGNADOT_KUBERNETES)"
    )
    group.add_argument(
        "--pod-logs", action=switch, default=None, help="let the relay read the logs of pods (SIGNADOT_POD_LOGS)"
    )
    group.add_argument(
        "--previews",
        action=switch,
        default=None,
        help="keep workspaces as objects in the cluster, and clone Deployments for them (SIGNADOT_PREVIEWS)",
    )
    group.add_argument(
        "--allow-namespace",
        metavar="NAME",
        action="append",
        default=[],
        help="a namespace that the relay may read; repeatable (SIGNADOT_ALLOW_NAMESPACES; default: all)",
    )
    group.add_argument("--kubernetes-api", metavar="URL", help="the API server (SIGNADOT_KUBERNETES_API; the pod's)")
    group.add_argument(
        "--kubernetes-token-file", metavar="FILE", help="bearer token (SIGNADOT_KUBERNETES_TOKEN_FILE; the pod's)"
    )
    group.add_argument(
        "--kubernetes-ca-file",
        metavar="FILE",
        help="certificates to trust for the API server (SIGNADOT_KUBERNETES_CA_FILE; the pod's)",
    )
    group.add_argument(
        "--kubernetes-namespace",
        metavar="NAME",
        help="the agent's own namespace (SIGNADOT_KUBERNETES_NAMESPACE; the pod's)",
    )


def _load(options: argparse.Namespace, environment: Mapping[str, str]) -> tuple[Settings, WatchedToken]:
    flags = Flags(
        relay=options.relay,
        token_file=options.token_file,
        ca_file=options.ca_file,
        allow_targets=options.allow_target,
        transport=options.transport,
        health=options.health,
        cluster_domain=options.cluster_domain,
        drain_seconds=options.drain_seconds,
        kubernetes=KubernetesFlags(
            mode=options.kubernetes,
            api=options.kubernetes_api,
            token_file=options.kubernetes_token_file,
            ca_file=options.kubernetes_ca_file,
            namespace=options.kubernetes_namespace,
            pod_logs=options.pod_logs,
            previews=options.previews,
            allow_namespaces=options.allow_namespace,
        ),
    )
    settings = load_settings(flags, environment)
    return settings, WatchedToken(settings.token_file)


if __name__ == "__main__":
    sys.exit(main())
