"""Preview hostnames, routes, and the choice among live tunnels; pure."""

from relay.routing.choice import pick_of_two
from relay.routing.forks import ForkTarget, is_fork_target, parse_fork_target, require_deployment, require_namespace
from relay.routing.headers import require_origin, require_routing_header
from relay.routing.hostnames import PreviewHost, parse_preview_host, print_preview_host
from relay.routing.names import name_problem, pull_request_workspace, require_label, require_name, valid_name
from relay.routing.return_urls import ReturnUrl, parse_return_url, plain_target
from relay.routing.routes import HostHeader, Preflight, Route, RouteTable, Visibility
from relay.routing.targets import parse_target, print_target_authority

__all__ = [
    "ForkTarget",
    "HostHeader",
    "Preflight",
    "PreviewHost",
    "ReturnUrl",
    "Route",
    "RouteTable",
    "Visibility",
    "is_fork_target",
    "name_problem",
    "parse_fork_target",
    "parse_preview_host",
    "parse_return_url",
    "parse_target",
    "pick_of_two",
    "plain_target",
    "print_preview_host",
    "print_target_authority",
    "pull_request_workspace",
    "require_deployment",
    "require_label",
    "require_name",
    "require_namespace",
    "require_origin",
    "require_routing_header",
    "valid_name",
]
