"""What passes the gateway is rebuilt, streamed with backpressure, and over as soon as the relay has left."""

import json

import pytest
import trio

from client.kubernetes import gateway
from client.kubernetes.table import Scope
from relay.errors import StreamResetError
from relay.kubernetes import (
    EVERYWHERE,
    PODS,
    WORKSPACES,
    ConflictError,
    ForbiddenError,
    GoneError,
    LogOptions,
    NotFoundError,
    TooManyRequestsError,
    UnavailableError,
)
from relay.mux import ResetCode
from relay.transport import MuxStream
from tests.client.kubernetes.server import (
    TOKEN,
    ApiServer,
    Connection,
    Request,
    answer,
    by_default,
    chunk,
    chunked_head,
    json_answer,
)
from tests.client.kubernetes.world import World

MIB = 1024 * 1024
READ_BYTES = 65536
PODS_PATH = "/api/v1/namespaces/shop/pods"
LOG_PATH = f"{PODS_PATH}/web-1/log"
WORKSPACES_PATH = "/apis/signadot.com/v1/namespaces/signadot/workspaces"


async def test_a_request_reaches_the_api_server_rebuilt_and_with_the_agents_token(world: World) -> None:
    answered = await world.ask("GET", f"{PODS_PATH}?labelSelector=app%3Dweb&limit=10", "ACCEPT:   application/json  ")
    assert (answered.status, answered.document["kind"]) == (200, "Anything")
    (request,) = world.server.requests
    assert request.raw_head.decode() == (
        f"GET {PODS_PATH}?labelSelector=app%3Dweb&limit=10 HTTP/1.1\r\nhost: 127.0.0.1:{world.server.port}\r\n"
        f"accept: application/json\r\nauthorization: Bearer {TOKEN}\r\nconnection: close"
    )
    assert TOKEN not in answered.head + answered.body.decode()


async def test_a_body_arrives_as_it_was_sent(world: World) -> None:
    body = json.dumps({"metadata": {"name": "w1"}, "text": "x" * 500_000}).encode()
    answered = await world.ask(
        "POST", WORKSPACES_PATH, "content-type: application/json", f"content-length: {len(body)}", body=body
    )
    assert answered.status == 200
    (request,) = world.server.requests
    assert (request.method, request.target, request.body) == ("POST", WORKSPACES_PATH, body)
    assert request.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("scope", "target", "sentence"),
    [
        (Scope(namespace="signadot"), LOG_PATH, "podLogs.enabled"),
        (Scope(namespace="signadot"), WORKSPACES_PATH, "previews.enabled"),
        (
            Scope(namespace="signadot", allow_namespaces=frozenset({"web"})),
            PODS_PATH,
            "allows other namespaces only",
        ),
        (Scope(namespace="signadot"), "/api/v1/namespaces/shop/secrets", "GET /api/v1/namespaces/shop/secrets"),
    ],
)
async def test_a_refusal_is_a_status_of_kubernetes_that_says_why(
    server: ApiServer, nursery: trio.Nursery, scope: Scope, *, target: str, sentence: str
) -> None:
    world = World(server, scope)
    await world.start(nursery)
    answered = await world.ask("GET", target)
    document = answered.document
    assert (answered.status, document["kind"], document["reason"], document["code"]) == (
        403,
        "Status",
        "Forbidden",
        403,
    )
    assert document["message"].startswith("the agent does not let through ")
    assert sentence in document["message"]
    assert server.connections == []


async def test_streams_of_the_kind_go_to_no_other_address(world: World) -> None:
    for host, port in (("kubernetes.default.svc", 6443), ("10.96.0.1", 443), ("web.shop.svc", 443)):
        stream = world.relay.open("kubernetes", host, port)
        with pytest.raises(StreamResetError) as caught:
            await stream.wait_opened()
        assert caught.value.wire_code == ResetCode.NOT_ALLOWED
    assert (world.server.connections, world.network.dialled) == ([], [])


async def test_a_kind_that_nobody_serves_is_reset(world: World) -> None:
    with pytest.raises(StreamResetError, match="does not serve streams of kind 'exec'"):
        await world.relay.open("exec", "kubernetes.default.svc", 443).wait_opened()


async def follow_for_ever(connection: Connection, request: Request) -> None:
    await connection.send(chunked_head("text/plain") + chunk(b"first\n"))
    await trio.sleep_forever()


@pytest.mark.parametrize("finished", [False, True], ids=["open", "finished"])
async def test_a_reset_by_the_relay_ends_the_connection_to_the_api_server(world: World, *, finished: bool) -> None:
    world.server.handler = follow_for_ever
    stream = world.open()
    await stream.send_all(f"GET {LOG_PATH}?follow=true HTTP/1.1\r\nhost: k\r\n\r\n".encode())
    if finished:
        await stream.send_eof()
    with trio.fail_after(30):
        data = b""
        while b"first\n" not in data:
            data += await stream.receive_some()
        (connection,) = world.server.connections
        assert not connection.over.is_set()
        stream.reset(ResetCode.CANCELLED, "the visitor has left")
        await connection.over.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert 'kubernetes_requests_total{result="left"} 1.0' in world.metrics.text().decode()


async def test_the_end_of_the_tunnel_ends_the_connection_too(world: World) -> None:
    world.server.handler = follow_for_ever
    async with world.api().pod_log("shop", "web-1", LogOptions(follow=True)) as log:
        assert await anext(log) == b"first\n"
        world.relay.close()
        with trio.fail_after(30):
            await world.server.connections[0].over.wait()
        with pytest.raises(UnavailableError, match="broke off"):
            await anext(log)


async def test_leaving_a_followed_log_is_felt_in_the_cluster(world: World) -> None:
    world.server.handler = follow_for_ever
    async with world.api().pod_log("shop", "web-1", LogOptions(follow=True)) as log:
        assert await anext(log) == b"first\n"
    with trio.fail_after(30):
        await world.server.connections[0].over.wait()
    assert world.server.requests[0].target == f"{LOG_PATH}?follow=true"
    assert world.server.requests[0].headers["accept"] == "*/*"


async def test_watches_end_with_the_agent_and_followed_logs_go_on(world: World) -> None:
    async def say_one_thing(connection: Connection, request: Request) -> None:
        event = json.dumps({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "2"}}}).encode()
        await connection.send(chunked_head() + chunk(b"first\n" if "follow" in request.target else event + b"\n"))
        await trio.sleep_forever()

    world.server.handler = say_one_thing
    api = world.api()
    async with (
        api.pod_log("shop", "web-1", LogOptions(follow=True)) as log,
        api.watch(PODS, resource_version="1") as events,
    ):
        assert await anext(log) == b"first\n"
        assert (await anext(events)).resource_version == "2"
        world.gateway.stop()
        with trio.fail_after(30):
            with pytest.raises(UnavailableError, match="the agent is stopping"):
                await anext(events)
            await world.server.connections[1].over.wait()
        assert not world.server.connections[0].over.is_set()


async def test_a_relay_that_does_not_read_stalls_the_api_server_in_bounded_memory(world: World) -> None:
    """Of 100 MiB no more is taken from the API server than queues and socket buffers hold."""
    size = 100 * MIB
    line = b"x" * (MIB - 1) + b"\n"

    async def long_log(connection: Connection, request: Request) -> None:
        await connection.send(answer(200, b"", "text/plain").replace(b"length: 0", b"length: %d" % size))
        for _ in range(size // MIB):
            for at in range(0, MIB, 65536):
                await connection.send(line[at : at + 65536])

    world.server.handler = long_log
    stream = world.open()
    await stream.send_all(f"GET {LOG_PATH} HTTP/1.1\r\nhost: k\r\n\r\n".encode())
    first = await stream.receive_some(1000)
    (connection,) = world.server.connections
    # Until nothing moves any more: the reader stands still, so everything in between fills up and stops.
    sent = -1
    while sent != connection.sent_bytes:
        sent = connection.sent_bytes
        await trio.testing.wait_all_tasks_blocked(0.3)
    assert sent < 16 * MIB, "the API server could send far more than anybody has read"
    assert world.agent.session.statistics().queued_bytes <= 256 * 1024 + READ_BYTES, "too much waits in the agent"
    assert world.relay.session.statistics().buffered_bytes <= MIB, "the relay's end took more than its window"
    with trio.fail_after(60):
        rest = await read_all(stream)
    assert len(first) + len(rest) > size
    await stream.aclose()


async def test_a_relay_that_leaves_while_a_piece_is_on_its_way_harms_nothing(world: World) -> None:
    async def endless(connection: Connection, request: Request) -> None:
        await connection.send(chunked_head("text/plain"))
        while True:
            await connection.send(chunk(b"x" * READ_BYTES))

    world.server.handler = endless
    stream = world.open()
    await stream.send_all(f"GET {LOG_PATH}?follow=true HTTP/1.1\r\nhost: k\r\n\r\n".encode())
    await stream.receive_some(1000)
    (connection,) = world.server.connections
    sent = -1
    while sent != connection.sent_bytes:  # until the agent waits for room
        sent = connection.sent_bytes
        await trio.testing.wait_all_tasks_blocked(0.1)
    stream.reset(ResetCode.CANCELLED, "the visitor has left")
    with trio.fail_after(30):
        await connection.over.wait()
    world.server.handler = by_default
    assert (await world.ask("GET", PODS_PATH)).status == 200


async def read_all(stream: MuxStream) -> bytes:
    return b"".join([piece async for piece in stream])


async def test_bytes_behind_the_request_reset_the_stream_and_go_nowhere(world: World) -> None:
    world.server.handler = follow_for_ever
    stream = world.open()
    await stream.send_all(f"GET {LOG_PATH}?follow=true HTTP/1.1\r\nhost: k\r\n\r\n".encode())
    with trio.fail_after(30):
        await stream.receive_some()
        await stream.send_all(b"GET /api/v1/secrets HTTP/1.1\r\nhost: k\r\n\r\n")
        with pytest.raises(StreamResetError) as caught:
            await read_all(stream)
        assert caught.value.wire_code == ResetCode.PROTOCOL_ERROR
        (connection,) = world.server.connections
        await connection.over.wait()
    assert connection.extra == b""


async def test_requests_at_once_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "MAX_REQUESTS", 2)
    world.server.handler = follow_for_ever
    api = world.api()
    async with (
        api.pod_log("shop", "a", LogOptions(follow=True)) as first,
        api.pod_log("shop", "b", LogOptions(follow=True)) as second,
    ):
        assert [await anext(first), await anext(second)] == [b"first\n", b"first\n"]
        with pytest.raises(TooManyRequestsError):
            await api.get(PODS, "shop", "web-1")
    await world.server.until(lambda: all(connection.over.is_set() for connection in world.server.connections))
    world.server.handler = by_default
    await trio.testing.wait_all_tasks_blocked()
    assert await api.get(PODS, "shop", "web-1")


async def test_a_request_that_does_not_arrive_is_given_up(world: World, autojump_clock: trio.testing.MockClock) -> None:
    stream = world.open()
    await stream.send_all(b"GET /version HTTP/1.1\r\n")
    with pytest.raises(StreamResetError) as caught:
        await stream.receive_some()
    assert caught.value.wire_code == ResetCode.TIMED_OUT
    assert trio.current_time() >= gateway.REQUEST_SECONDS


async def test_an_api_server_that_is_away_is_answered_for(world: World) -> None:
    world.server.folder.joinpath("token").unlink()
    answered = await world.ask("GET", "/version")
    assert (answered.status, answered.document["reason"]) == (503, "ServiceUnavailable")
    assert "cannot read" in answered.document["message"]


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: SPDY/3.1\r\n\r\n",
        b"",
    ],
)
async def test_what_is_no_answer_becomes_an_error(world: World, garbage: bytes) -> None:
    async def handle(connection: Connection, request: Request) -> None:
        if garbage:
            await connection.send(garbage)
        await connection.stream.aclose()

    world.server.handler = handle
    answered = await world.ask("GET", "/version")
    assert answered.status in {502, 503}
    assert answered.document["kind"] == "Status"


async def test_an_answer_that_breaks_off_does_not_look_whole(world: World) -> None:
    async def handle(connection: Connection, request: Request) -> None:
        await connection.send(chunked_head("text/plain") + chunk(b"half"))
        await trio.aclose_forcefully(connection.stream)

    world.server.handler = handle
    async with world.api().pod_log("shop", "web-1", LogOptions()) as log:
        with pytest.raises(UnavailableError):
            assert [piece async for piece in log] == []


async def test_headers_of_the_answer_come_back_as_far_as_they_are_of_use(world: World) -> None:
    async def handle(connection: Connection, request: Request) -> None:
        status = json.dumps({"kind": "Status", "message": "slow down"}).encode()
        await connection.send(
            answer(429, status, "application/json", "retry-after: 7", "set-cookie: a=b", "audit-id: 1")
        )

    world.server.handler = handle
    answered = await world.ask("GET", "/version")
    assert answered.head.lower().split("\r\n")[1:] == [
        "content-type: application/json",
        "retry-after: 7",
        f"content-length: {len(answered.body)}",
    ]
    with pytest.raises(TooManyRequestsError) as caught:
        await world.api().version()
    assert caught.value.retry_after_seconds == 7


async def test_the_relays_client_lists_in_pages_and_watches(world: World) -> None:
    events = [
        {"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "8"}}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
        {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}},
    ]

    async def handle(connection: Connection, request: Request) -> None:
        if "watch=true" in request.target:
            text = "".join(json.dumps(event) + "\n" for event in events).encode()
            await connection.send(chunked_head())
            for at in range(0, len(text), 7):
                await connection.send(chunk(text[at : at + 7]))
            await connection.send(b"0\r\n\r\n")
        elif "continue=next" in request.target:
            await connection.send(json_answer({"metadata": {"resourceVersion": "7"}, "items": [{"n": 2}]}))
        else:
            metadata = {"resourceVersion": "7", "continue": "next"}
            await connection.send(json_answer({"metadata": metadata, "items": [{"n": 0}, {"n": 1}]}))

    world.server.handler = handle
    api = world.api()
    listed = await api.list(PODS, EVERYWHERE, page_items=2)
    assert [item["n"] for item in listed.items] == [0, 1, 2]
    assert listed.resource_version == "7"
    assert [request.target for request in world.server.requests] == [
        "/api/v1/pods?limit=2",
        "/api/v1/pods?limit=2&continue=next",
    ]
    async with api.watch(PODS, resource_version="7") as watched:
        added, bookmark = await anext(watched), await anext(watched)
        assert (added.type, added.resource_version) == ("ADDED", "8")
        assert (bookmark.type, bookmark.resource_version) == ("BOOKMARK", "9")
        with pytest.raises(GoneError, match="too old"):
            await anext(watched)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFoundError), (409, ConflictError), (410, GoneError), (500, UnavailableError)]
)
async def test_errors_come_by_kind_with_their_message(world: World, status: int, kind: type[Exception]) -> None:
    async def handle(connection: Connection, request: Request) -> None:
        document = {"kind": "Status", "code": status, "reason": "R", "message": "a sentence"}
        await connection.send(json_answer(document, status))

    world.server.handler = handle
    with pytest.raises(kind, match="a sentence"):
        await world.api().get(PODS, "shop", "web-1")


async def test_workspaces_are_written_by_the_relays_client(world: World) -> None:
    api = world.api()
    document = {"metadata": {"name": "w1"}}
    await api.create(WORKSPACES, api.namespace, document)
    await api.replace(WORKSPACES, api.namespace, document)
    await api.patch(WORKSPACES.path(api.namespace, "w1"), {"spec": {}}, manager="signadot-relay")
    await api.delete(WORKSPACES, api.namespace, "w1", uid="u1")
    await api.delete(WORKSPACES, api.namespace, "w1")
    sent = [(request.method, request.target, bool(request.body)) for request in world.server.requests]
    assert sent == [
        ("POST", WORKSPACES_PATH, True),
        ("PUT", f"{WORKSPACES_PATH}/w1", True),
        ("PATCH", f"{WORKSPACES_PATH}/w1?fieldManager=signadot-relay", True),
        ("DELETE", f"{WORKSPACES_PATH}/w1", True),
        ("DELETE", f"{WORKSPACES_PATH}/w1", False),
    ]
    with pytest.raises(ForbiddenError, match="does not let through POST"):
        await api.create(WORKSPACES, "kube-system", document)


async def test_no_stream_is_left_behind(world: World) -> None:
    api = world.api()
    for _ in range(20):
        await api.version()
    await trio.testing.wait_all_tasks_blocked()
    assert (world.relay.open_streams, world.agent.open_streams) == (0, 0)
