"""Logs of a workspace by the API, in virtual time."""

import re
from typing import Any

import pytest
import trio

from relay.kubernetes import UnavailableError
from tests.control.api import Api, FakeStatus
from tests.control.kubernetes.cluster import MemoryCluster
from tests.control.kubernetes.visitor import Visitor

LOGS = "/workspaces/shop/logs"
ONLINE = FakeStatus(online=True, tunnels=1, since=0.0, capabilities=("kubernetes", "pod-logs"))


@pytest.fixture
async def cluster(api: Api, nursery: trio.Nursery) -> MemoryCluster:
    await api.done("PUT", "/orgs/acme/clusters/c1", {})
    await put(api)
    cluster_id = await api.cluster_id("c1")
    api.statuses[cluster_id] = ONLINE
    cluster = MemoryCluster(nursery)
    api.kubernetes[cluster_id] = cluster
    return cluster


async def put(api: Api, *targets: str) -> None:
    endpoints = [{"name": f"e{number}", "target": target} for number, target in enumerate(targets)]
    await api.done("PUT", "/orgs/acme/workspaces/shop", {"spec": {"cluster": "c1", "endpoints": endpoints}})


async def ask(api: Api, query: str = "", *, path: str = LOGS, accept: str = "*/*") -> Any:
    return await api.call("GET", f"/orgs/acme{path}{query}", accept=accept)


async def test_all_containers_are_read_each_line_behind_pod_and_container(api: Api, cluster: MemoryCluster) -> None:
    cluster.add("web-1", "web", "proxy")
    cluster.add("api-1", "api")
    cluster.write("web-1", "web", b"one", b"two")
    cluster.write("web-1", "proxy", b"\xff\x1b[31mred")
    cluster.write("api-1", "api", b"")
    answer = await ask(api)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.content.splitlines() == [
        b"api-1/api ",
        b"web-1/web one",
        b"web-1/web two",
        b"web-1/proxy \xff\x1b[31mred",
    ]


async def test_pod_container_tail_since_and_timestamps_are_obeyed(
    api: Api, cluster: MemoryCluster, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add("web-1", "web", "proxy")
    cluster.add("web-2", "web")
    cluster.write("web-1", "web", b"old")
    await trio.sleep(100)
    cluster.write("web-1", "web", b"new", b"newest")
    cluster.write("web-1", "proxy", b"p")
    cluster.write("web-2", "web", b"w")
    assert (await ask(api, "?pod=web-1&container=web")).text == "web-1/web old\nweb-1/web new\nweb-1/web newest\n"
    assert (await ask(api, "?container=web&tailLines=1")).text == "web-1/web newest\nweb-2/web w\n"
    assert (await ask(api, "?pod=web-1&sinceSeconds=50&container=web")).text == "web-1/web new\nweb-1/web newest\n"
    stamped = (await ask(api, "?pod=web-2&timestamps=true")).text
    assert re.fullmatch(r"web-2/web 2023-11-14T22:15:\d\d\.\d{9}Z w\n", stamped)


async def test_server_sent_events_hold_json_and_an_end(api: Api, cluster: MemoryCluster) -> None:
    cluster.add("web-1", "web")
    cluster.write("web-1", "web", b"a\rb\xff")
    answer = await ask(api, accept="text/event-stream")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text == (
        'event: line\ndata: {"namespace": "shop", "pod": "web-1", "container": "web", "line": "a\\rb\\ufffd"}\n\n'
        "event: end\ndata: {}\n\n"
    )


async def test_the_pods_of_services_that_endpoints_lead_to_belong_to_it(api: Api, cluster: MemoryCluster) -> None:
    await put(
        api,
        "fork://deployment/web:80",
        "http://web.shop.svc:8080",
        "http://gone.shop.svc.cluster.local",
        "http://example.com",
        "http://10.0.0.1",
    )
    cluster.services["web"] = {"spec": {"selector": {"app": "web", "tier": "front"}}}
    cluster.add("base-1", "web", labels={"app": "web", "tier": "front"})
    cluster.add("base-2", "web", labels={"app": "web", "tier": "front"}, namespace="other")
    cluster.add("own-1", "web")
    items = (await ask(api, path="/workspaces/shop/pods")).json()["items"]
    assert [(item["name"], item["origin"]) for item in items] == [("own-1", "workspace"), ("base-1", "service/web")]
    assert items[0]["containers"] == [{"name": "web", "state": "running", "reason": "", "restarts": 0}]


async def test_a_pod_of_another_org_with_a_workspace_of_this_name_is_not_shown(
    api: Api, cluster: MemoryCluster
) -> None:
    cluster.add("theirs", "web", labels={"signadot.com/workspace": "shop", "signadot.com/org": "globex"})
    assert (await ask(api, path="/workspaces/shop/pods")).json() == {"items": []}
    assert (await ask(api)).status_code == 404


async def test_only_allowed_namespaces_are_asked(api: Api, cluster: MemoryCluster) -> None:
    await put(api, "http://web.shop.svc:8080", "http://web.pay.svc:8080")
    cluster.services["web"] = {"spec": {"selector": {"app": "web"}}}
    limited = FakeStatus(online=True, capabilities=("kubernetes", "pod-logs"), allowed_namespaces=("books", "shop"))
    api.statuses[await api.cluster_id("c1")] = limited
    await ask(api, path="/workspaces/shop/pods")
    namespaces = [call.path.split("/")[4] for call in cluster.calls]
    assert sorted(namespaces) == ["books", "shop", "shop", "shop"]


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("?pod=web-9", (404, "no pod 'web-9'; there are web-1, web-2")),
        ("?container=db", (404, "container 'db'; there are web-1/web, web-2/web")),
        ("?pod=Web", (422, "pod")),
        ("?container=a.b", (422, "container")),
        ("?pod=../x", (422, "pod")),
        ("?sinceSeconds=0", (422, "sinceSeconds")),
        ("?sinceSeconds=1e3", (422, "sinceSeconds")),
        ("?tailLines=-1", (422, "tailLines")),
        ("?tailLines=1000000000", (422, "tailLines")),
        ("?follow=perhaps", (422, "follow")),
    ],
)
async def test_a_wrong_choice_is_refused_by_name(
    api: Api, cluster: MemoryCluster, query: str, refused: tuple[int, str]
) -> None:
    cluster.add("web-1", "web")
    cluster.add("web-2", "web")
    answer = await ask(api, query)
    assert answer.status_code == refused[0]
    assert refused[1] in answer.json()["error"]
    assert cluster.open_calls("") == []


async def test_what_cannot_be_read_is_said_before_a_stream_begins(api: Api, cluster: MemoryCluster) -> None:
    cluster_id = await api.cluster_id("c1")
    cases = [
        (FakeStatus(since=1_700_000_000.0), 503, "cluster_offline", "'c1' is offline: since 2023-11-14"),
        (FakeStatus(online=True), 503, "kubernetes_unavailable", "no access to Kubernetes"),
        (FakeStatus(online=True, capabilities=("kubernetes",)), 403, "forbidden", "podLogs.enabled to true"),
        (ONLINE, 404, "not_found", "has no pods now"),
    ]
    for status, code, name, says in cases:
        api.statuses[cluster_id] = status
        answer = await ask(api)
        assert (answer.status_code, answer.json()["code"]) == (code, name)
        assert says in answer.json()["error"]
    assert (await ask(api, path="/workspaces/other/logs")).status_code == 404
    api.statuses[cluster_id] = FakeStatus(online=True, capabilities=("kubernetes",))
    assert (await ask(api, path="/workspaces/shop/pods")).json() == {"items": []}


async def test_a_container_that_has_not_started_is_named_with_its_reason(api: Api, cluster: MemoryCluster) -> None:
    cluster.add("web-1", "web", "proxy")
    cluster.wait_to_start("web-1", "web", "ImagePullBackOff")
    cluster.write("web-1", "proxy", b"up")
    assert (await ask(api)).text == "# web-1/web is waiting: ImagePullBackOff\nweb-1/proxy up\n"


async def test_three_pods_of_two_containers_are_followed_for_ten_minutes(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    for name in ("web-1", "web-2", "web-3"):
        cluster.add(name, "app", "proxy")
    visitor = await Visitor(api, f"{LOGS}?follow=true").start(nursery)
    began, expected = trio.current_time(), []
    for second in range(600):
        name, container = f"web-{second % 3 + 1}", ("app", "proxy")[second % 2]
        cluster.write(name, container, b"line %d" % second)
        expected.append(b"%b/%b line %d" % (name.encode(), container.encode(), second))
        assert await visitor.line() == expected[-1]
        await trio.sleep(1)
    assert trio.current_time() - began >= 600
    assert len(cluster.open_calls("/log")) == 6
    visitor.leave()
    await trio.testing.wait_all_tasks_blocked()
    assert cluster.open_calls("") == []


async def test_pods_that_come_restart_and_go_are_followed(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    visitor = await Visitor(api, f"{LOGS}?follow=true&tailLines=0").start(nursery)
    await trio.sleep(400)  # longer than a watch lasts
    cluster.add("web-1", "web")
    cluster.write("web-1", "web", b"first")
    assert await visitor.line() == b"web-1/web first"
    cluster.restart("web-1", "web")
    await trio.sleep(0.001)
    cluster.write("web-1", "web", b"second life")
    assert await visitor.line() == b"web-1/web second life"
    cluster.add("web-2", "web")
    cluster.wait_to_start("web-2", "web", "ContainerCreating")
    await trio.sleep(60)
    cluster.write("web-2", "web", b"early")
    cluster.run("web-2", "web")
    assert (await visitor.line()).endswith(b"early")
    cluster.remove("web-1")
    await trio.sleep(60)
    assert [call.path.split("/")[-2] for call in cluster.open_calls("/log")] == ["web-2"]
    visitor.leave()


async def test_a_connection_that_breaks_is_taken_up_where_it_was(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add("web-1", "web")
    visitor = await Visitor(api, f"{LOGS}?follow=true").start(nursery)
    seen: list[bytes] = []
    for number in range(5):
        cluster.write("web-1", "web", b"%d a" % number, b"%d b" % number)
        seen += await visitor.lines(2)
        cluster.cut("/log")
        cluster.cut("/pods")
        cluster.write("web-1", "web", b"%d c" % number)
        while not seen[-1].endswith(b" c"):
            if not (line := await visitor.line()).startswith(b"# "):
                seen.append(line)
        await trio.sleep(5)
    assert seen == [b"web-1/web %d %b" % (number, which) for number in range(5) for which in (b"a", b"b", b"c")]
    visitor.leave()


@pytest.mark.parametrize("choice", ["tailLines=0", "tailLines=1", "sinceSeconds=1"])
async def test_a_connection_that_breaks_before_the_first_line_loses_none(
    api: Api,
    cluster: MemoryCluster,
    *,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
    choice: str,
) -> None:
    cluster.add("web-1", "web")
    if choice != "tailLines=1":
        cluster.write("web-1", "web", b"old")
        await trio.sleep(100)
    visitor = await Visitor(api, f"{LOGS}?follow=true&{choice}").start(nursery)
    await trio.sleep(100)
    cluster.cut("/log")
    cluster.write("web-1", "web", b"one", b"two")
    assert await visitor.lines(2) == [b"web-1/web one", b"web-1/web two"]
    visitor.leave()


async def test_a_visitor_who_does_not_read_stalls_the_kubelet(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    cluster.add("web-1", "web")
    cluster.write("web-1", "web", *[b"x" * 1000] * 1000)
    visitor = await Visitor(api, f"{LOGS}?follow=true").start(nursery)
    await trio.sleep(100)
    (call,) = cluster.open_calls("/log")
    assert call.sent_bytes <= 3000  # one is being sent, one waits to be
    for _ in range(1000):
        await visitor.line()
    visitor.leave()


async def test_a_stream_lasts_as_long_as_the_limit_says_and_ends_with_a_word(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    visitor = await Visitor(api, f"{LOGS}?follow=true", accept="text/event-stream").start(nursery)
    text = await visitor.rest()
    assert trio.current_time() == pytest.approx(3600, abs=1)
    assert text.count(b":\n\n") in {239, 240}  # every 15 s: no proxy takes it for dead
    assert text.replace(b":\n\n", b"") == (
        b'event: note\ndata: {"message": "this is the end after 3600 s (limits.log_seconds): ask again"}\n\n'
        b"event: end\ndata: {}\n\n"
    )


async def test_one_stream_too_many_is_a_429_that_names_the_limit(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery
) -> None:
    visitors = [await Visitor(api, f"{LOGS}?follow=true").start(nursery) for _ in range(3)]
    assert [visitor.status for visitor in visitors] == [200, 200, 200]
    answer = await ask(api, "?follow=true")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_log_streams")
    assert "limits.log_streams_per_org" in answer.json()["error"]
    visitors[0].leave()
    await trio.testing.wait_all_tasks_blocked()
    again = await Visitor(api, f"{LOGS}?follow=true").start(nursery)
    assert again.status == 200
    for visitor in (*visitors, again):
        visitor.leave()


async def test_containers_beyond_the_limit_are_named_in_the_stream(
    api: Api, cluster: MemoryCluster, nursery: trio.Nursery
) -> None:
    cluster.add("web-1", *[f"c{number}" for number in range(10)])
    visitor = await Visitor(api, f"{LOGS}?follow=true").start(nursery)
    cluster.write("web-1", "c0", b"of those that are")
    assert await visitor.line() == b"web-1/c0 of those that are"
    why = b"is not followed: this org reads 8 logs at once (limits.log_containers_per_org)"
    # The watch for further pods counts as well.
    assert visitor.notes == [b"# web-1/c7 " + why, b"# web-1/c8 " + why, b"# web-1/c9 " + why]
    visitor.leave()


async def test_a_cluster_in_trouble_is_a_502_or_503(api: Api, cluster: MemoryCluster) -> None:
    cluster.add("web-1", "web")
    cluster.pods["web-1"]["status"] = "none"
    broken = await ask(api)
    assert (broken.status_code, broken.json()["code"]) == (502, "kubernetes_bad_answer")
    cluster.pods["web-1"]["status"] = {}
    cluster.pods["web-1"]["metadata"]["name"] = "# a note"
    answer = await ask(api)
    assert (answer.status_code, answer.json()["code"]) == (502, "kubernetes_bad_answer")

    cluster.problem = UnavailableError("the agent does not answer")
    answer = await ask(api)
    assert (answer.status_code, answer.json()["error"]) == (503, "the agent does not answer")
