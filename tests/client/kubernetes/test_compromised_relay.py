"""A relay that was taken over sends everything it can think of; counted is what arrives at the API server.

What may arrive is computed from the table in docs/kubernetes.md, not from the code that enforces it.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from client.kubernetes.table import PARAMETERS, RULES, Scope, When
from tests.client.kubernetes import requests
from tests.client.kubernetes.server import TOKEN, ApiServer
from tests.client.kubernetes.world import World

DOCUMENT = (Path(__file__).parents[3] / "docs/kubernetes.md").read_text()
METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
RELAYS_AT_ONCE = 16


def rows(first: str) -> list[list[str]]:
    """The rows of the table in the document whose heading begins with `first`."""
    lines = DOCUMENT.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def documented() -> dict[tuple[str, str], tuple[set[str], str, str]]:
    """(prefix, resource with subresource) -> verbs, namespaces, option; from the page."""
    table = {}
    for verbs, group, resource, where, when in rows("verbs"):
        version = group.removeprefix("core ")
        prefix = "" if not group else f"/api/{version}" if version == "v1" else f"/apis/{version}"
        table[prefix, resource] = (set(verbs.split(", ")), where, when)
    return table


def allowed(method: str, target: str, scope: Scope) -> bool:
    """Whether the page lets these through; knows only whole and plain spellings."""
    path, _, query = target.partition("?")
    if path == "/version":
        return method == "GET" and not query
    for (prefix, name), (verbs, where, when) in documented().items():
        resource, _, subresource = name.partition("/")
        namespace = r"(?:/namespaces/([a-z]+(?:-[a-z]+)*))"
        pattern = rf"{re.escape(prefix)}{namespace}?/{resource}(?:/(x|[a-z]+-[0-9]))?(/{subresource})?"
        found = re.fullmatch(pattern, path) if prefix else None
        if found is not None and bool(found[3]) == bool(subresource):
            turned_on = {"--pod-logs": scope.pod_logs, "--previews": scope.previews, "always": True}[when]
            namespaces = {scope.namespace} if where == "own" else scope.allow_namespaces
            return (
                turned_on
                and (not namespaces or found[1] in namespaces)
                and method in {METHODS[verb] for verb in verbs & verbs_of(found[1], found[2], query)}
            )
    return False


def verbs_of(namespace: str | None, name: str | None, query: str) -> set[str]:
    """What may be meant by a path."""
    if name:
        return {"get", "update", "patch", "delete"} if namespace and not query else set()
    return {"watch"} if query == "watch=true" else {"list", "create"} if not query else set()


def body_of(method: str) -> tuple[list[str], bytes]:
    """What makes a request of this method whole."""
    kind = {"POST": "application/json", "PUT": "application/json", "PATCH": "application/merge-patch+json"}.get(method)
    if kind is None:
        return [], b""
    return [f"content-type: {kind}", f"content-length: {len(requests.OBJECT)}"], requests.OBJECT


async def attack(world: World, wire: list[bytes]) -> dict[int, int]:
    """Sends each; gives how many had which status, 0 for those that were reset."""
    statuses: dict[int, int] = {}
    left = list(reversed(wire))

    async def worker() -> None:
        while left:
            try:
                status = (await world.send(left.pop())).status
            except trio.BrokenResourceError:
                status = 0
            statuses[status] = statuses.get(status, 0) + 1

    async with trio.open_nursery() as nursery:
        for _ in range(RELAYS_AT_ONCE):
            nursery.start_soon(worker)
    return statuses


def encoded(method: str, target: str) -> bytes:
    headers, body = body_of(method)
    return (
        "\r\n".join([f"{method} {target} HTTP/1.1", "host: kubernetes.default.svc", *headers, "", ""]).encode() + body
    )


SCOPES = [
    pytest.param(Scope(namespace="signadot", pod_logs=True, previews=True), id="everything"),
    pytest.param(Scope(namespace="signadot"), id="least"),
    pytest.param(Scope(namespace="signadot", allow_namespaces=frozenset({"shop"}), pod_logs=True), id="shop"),
]
TARGETS = list(dict.fromkeys(requests.paths()))
Record = Callable[[str, object], None]


def test_the_page_and_the_program_have_the_same_table() -> None:
    whens = {When.ALWAYS: "always", When.POD_LOGS: "--pod-logs", When.PREVIEWS: "--previews"}
    program = {
        (rule.prefix, "/".join(filter(None, (rule.resource, rule.subresource)))): (
            set(rule.verbs),
            rule.where.value,
            whens[rule.when],
        )
        for rule in RULES
    }
    assert documented() == program | {("", "/version"): ({"get"}, "", "always")}


def test_the_page_and_the_program_have_the_same_parameters() -> None:
    page = {verb: parameters for verb, _, parameters, _ in rows("verb")}
    page["log"] = page.pop("get of pods/log")
    assert {verb: [] if text == "none" else text.split(", ") for verb, text in page.items()} == {
        verb: sorted(parameters) for verb, parameters in PARAMETERS.items()
    }


@pytest.mark.parametrize("scope", SCOPES)
async def test_exactly_what_the_page_says_arrives(
    server: ApiServer, nursery: trio.Nursery, scope: Scope, *, record_property: Record
) -> None:
    world = World(server, scope)
    await world.start(nursery)
    # Disguises are never equal to what they stand for: all of them are refused, whoever may read the plain path.
    plain = [target for target in TARGETS if target not in {*requests.DISGUISED, *requests.QUERIES}]
    # Verbs that no table knows are tried once in full.
    methods = requests.METHODS if scope.previews else requests.METHODS[:6]
    wanted = sorted((method, target) for method in methods for target in plain if allowed(method, target, scope))
    statuses = await attack(world, [encoded(method, target) for method in methods for target in TARGETS])
    arrived = sorted((request.method, request.target) for request in server.requests)
    sent = len(methods) * len(TARGETS)
    record_property(f"requests sent, arrived ({len(TARGETS)} paths)", (sent, len(arrived)))
    assert arrived == wanted
    assert len(server.connections) == len(wanted)
    assert statuses.pop(200) == len(wanted)
    assert set(statuses) <= {400, 403}
    assert sum(statuses.values()) == sent - len(wanted)
    for request in server.requests:
        assert request.authorization == f"Bearer {TOKEN}"
        body = {"content-type", "content-length"} if request.body else set()
        assert sorted(request.names) == sorted({"host", "accept", "authorization", "connection"} | body)


def test_there_are_several_hundred_paths_and_some_may_pass() -> None:
    assert len(TARGETS) > 500
    everything = Scope(namespace="signadot", pod_logs=True, previews=True)
    passing = {target for target in TARGETS for method in requests.METHODS if allowed(method, target, everything)}
    assert {"/version", requests.WORKSPACES, f"{requests.WORKSPACES}/x-1"} <= passing
    assert len(passing) < 60


async def test_no_header_brings_more(world: World) -> None:
    wire = [f"{requests.GOOD} HTTP/1.1\r\nhost: k\r\n{header}\r\n\r\n".encode("latin-1") for header in requests.HEADERS]
    statuses = await attack(world, wire)
    assert [request.raw_head for request in world.server.requests] == []
    assert set(statuses) <= {400, 403}


async def test_no_body_and_no_framing_smuggles_a_request(world: World) -> None:
    wire = [*requests.SMUGGLING, *requests.with_bodies()]
    statuses = await attack(world, wire)
    assert set(statuses) <= {400, 403}
    assert world.server.connections == []


async def test_large_bodies_pass_up_to_the_limit(world: World) -> None:
    for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 403)):
        answered = await world.ask(
            "POST",
            requests.WORKSPACES,
            "content-type: application/json",
            f"content-length: {size}",
            body=b"x" * size,
        )
        assert answered.status == status
    assert [len(request.body) for request in world.server.requests] == [1024 * 1024]
