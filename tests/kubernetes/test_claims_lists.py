"""Claims about lists and watches, held against the fake and against a real API server."""

from typing import Any

import pytest

from tests.kubernetes.asking import Api, Events, config


def names(listed: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def labelled(name: str, **labels: str) -> dict[str, object]:
    return config(name) | {"metadata": {"name": name, "labels": labels}}


def told(events: Events, count: int) -> list[tuple[str, str]]:
    found = [events.next() for _ in range(count)]
    return [(event["type"], event["object"]["metadata"]["name"]) for event in found]


def test_a_list_is_in_order_and_has_a_version(api: Api) -> None:
    for name in ("b", "a", "c"):
        api.create(f"{api.core}/configmaps", config(name))
    listed = api.get(f"{api.core}/configmaps")
    assert listed["kind"] == "ConfigMapList"
    assert names(listed) == ["a", "b", "c"]
    assert int(listed["metadata"]["resourceVersion"]) > 0


def test_pages_show_the_state_at_the_first_one(api: Api) -> None:
    for number in range(5):
        api.create(f"{api.core}/configmaps", config(f"a{number}"))
    first = api.get(f"{api.core}/configmaps", limit=2)
    assert names(first) == ["a0", "a1"]
    assert first["metadata"]["remainingItemCount"] == 3
    api.create(f"{api.core}/configmaps", config("a9"))
    assert api.ask("DELETE", f"{api.core}/configmaps/a3").status == 200
    second = api.get(f"{api.core}/configmaps", limit=2, continue_=first["metadata"]["continue"])
    third = api.get(f"{api.core}/configmaps", limit=2, continue_=second["metadata"]["continue"])
    assert names(second) + names(third) == ["a2", "a3", "a4"]
    assert third["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in third["metadata"]


def test_a_page_of_a_forgotten_state_is_gone(api: Api) -> None:
    for number in range(3):
        api.create(api.leases, {"metadata": {"name": f"a{number}"}})
    first = api.get(api.leases, limit=1)
    api.create(api.leases, {"metadata": {"name": "b"}})
    api.server.forget_history()
    answer = api.ask("GET", api.leases, limit=1, continue_=first["metadata"]["continue"])
    assert answer.status == 410
    status = answer.json()
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
    assert "The provided continue parameter is too old" in status["message"]
    again = api.get(api.leases, continue_=status["metadata"]["continue"])
    assert names(again) == ["a1", "a2", "b"]


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        pytest.param("app=web", ["a", "b"], id="equal"),
        pytest.param("app==web,tier=front", ["a"], id="two"),
        pytest.param("app!=web", ["c", "d"], id="unequal"),
        pytest.param("tier", ["a", "b"], id="there"),
        pytest.param("!tier", ["c", "d"], id="not-there"),
        pytest.param("app in (web, api)", ["a", "b", "c"], id="in"),
        pytest.param("app notin (web),app", ["c"], id="not-in"),
    ],
)
def test_a_label_selector_chooses(api: Api, selector: str, wanted: list[str]) -> None:
    for value in (
        labelled("a", app="web", tier="front"),
        labelled("b", app="web", tier="back"),
        labelled("c", app="api"),
        labelled("d"),
    ):
        api.create(f"{api.core}/configmaps", value)
    assert names(api.get(f"{api.core}/configmaps", label_selector=selector)) == wanted


@pytest.mark.parametrize(
    "query",
    [pytest.param({"label_selector": "a b c"}, id="label"), pytest.param({"field_selector": "spec.x=1"}, id="field")],
)
def test_a_selector_that_cannot_be_read_is_refused(api: Api, query: dict[str, Any]) -> None:
    assert api.ask("GET", f"{api.core}/configmaps", **query).status == 400


def test_a_field_selector_chooses(api: Api) -> None:
    for name in ("a", "b"):
        pod = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "acme/c:1"}]}}
        api.create(f"{api.core}/pods", pod)
    assert names(api.get(f"{api.core}/pods", field_selector="metadata.name=a")) == ["a"]
    assert names(api.get(f"{api.core}/pods", field_selector="metadata.name!=a")) == ["b"]
    assert names(api.get(f"{api.core}/pods", field_selector="status.phase=Succeeded")) == []


def test_a_list_from_the_future_is_refused(api: Api) -> None:
    version = int(api.get(f"{api.core}/configmaps")["metadata"]["resourceVersion"])
    answer = api.ask("GET", f"{api.core}/configmaps", resource_version=version + 1_000_000)
    assert answer.status == 504
    assert answer.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_a_watch_tells_what_happens_after_a_list(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("old"))
    version = api.get(f"{api.core}/configmaps")["metadata"]["resourceVersion"]
    with api.watch(f"{api.core}/configmaps", resource_version=version) as events:
        api.create(f"{api.core}/configmaps", config("new"))
        api.patch(f"{api.core}/configmaps/old", {"data": {"x": "1"}})
        assert api.ask("DELETE", f"{api.core}/configmaps/new").status == 200
        assert told(events, 3) == [("ADDED", "new"), ("MODIFIED", "old"), ("DELETED", "new")]


def test_versions_of_events_go_up_and_a_watch_goes_on_from_any(api: Api) -> None:
    version = api.get(f"{api.core}/configmaps")["metadata"]["resourceVersion"]
    for name in ("a", "b", "c"):
        api.create(f"{api.core}/configmaps", config(name))
    with api.watch(f"{api.core}/configmaps", resource_version=version) as events:
        found = [events.next()["object"]["metadata"] for _ in range(3)]
    versions = [int(item["resourceVersion"]) for item in found]
    assert versions == sorted(versions)
    with api.watch(f"{api.core}/configmaps", resource_version=versions[1]) as events:
        assert told(events, 1) == [("ADDED", "c")]


def test_a_watch_from_nowhere_begins_with_what_is_there(api: Api) -> None:
    for name in ("a", "b"):
        api.create(f"{api.core}/configmaps", config(name))
    with api.watch(f"{api.core}/configmaps") as events:
        assert sorted(told(events, 2)) == [("ADDED", "a"), ("ADDED", "b")]


def test_what_enters_or_leaves_a_selection_is_added_or_deleted(api: Api) -> None:
    made = api.create(f"{api.core}/configmaps", labelled("a", app="web"))
    version = made["metadata"]["resourceVersion"]
    with api.watch(f"{api.core}/configmaps", resource_version=version, label_selector="app=web") as events:
        api.patch(f"{api.core}/configmaps/a", {"metadata": {"labels": {"app": "api"}}})
        api.patch(f"{api.core}/configmaps/a", {"data": {"x": "unseen"}})
        back = api.patch(f"{api.core}/configmaps/a", {"metadata": {"labels": {"app": "web"}}})
        gone = events.next()
        assert gone["type"] == "DELETED"
        assert gone["object"]["metadata"]["labels"] == {"app": "web"}
        assert int(gone["object"]["metadata"]["resourceVersion"]) > int(version)
        added = events.next()
        assert added["type"] == "ADDED"
        assert added["object"]["metadata"]["resourceVersion"] == back["metadata"]["resourceVersion"]


def test_a_watch_ends_in_order_when_its_time_is_over(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a"))
    with api.watch(f"{api.core}/configmaps", timeout_seconds=1, allow_watch_bookmarks="true") as events:
        found = events.rest()
    assert found[0]["type"] == "ADDED"
    assert {event["type"] for event in found[1:]} <= {"BOOKMARK"}


def test_a_watch_can_begin_with_a_list_that_ends_in_a_bookmark(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config("a"))
    query = {"send_initial_events": "true", "resource_version_match": "NotOlderThan", "allow_watch_bookmarks": "true"}
    with api.watch(f"{api.core}/configmaps", **query) as events:
        assert told(events, 1) == [("ADDED", "a")]
        end = events.next()
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(end["object"]["metadata"]["resourceVersion"]) > 0
        api.create(f"{api.core}/configmaps", config("b"))
        assert told(events, 1) == [("ADDED", "b")]


def test_a_watch_from_a_forgotten_version_is_told_so_in_its_stream(api: Api) -> None:
    old = api.create(api.leases, {"metadata": {"name": "a"}})["metadata"]["resourceVersion"]
    for name in ("b", "c"):  # etcd still knows the newest change
        api.create(api.leases, {"metadata": {"name": name}})
    api.server.forget_history()
    with api.watch(api.leases, resource_version=old) as events:
        found = events.rest()
    assert [event["type"] for event in found] == ["ERROR"]
    status = found[0]["object"]
    assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")


def test_a_list_and_a_watch_of_all_namespaces_see_this_one(api: Api) -> None:
    api.create(f"{api.core}/configmaps", config(api.namespace))
    found = api.get("/api/v1/configmaps", field_selector=f"metadata.name={api.namespace}")
    assert [item["metadata"]["namespace"] for item in found["items"]] == [api.namespace]
    with api.watch("/api/v1/configmaps", field_selector=f"metadata.name={api.namespace}") as events:
        assert events.next()["object"]["metadata"]["namespace"] == api.namespace
