"""Claims about the fake's switches: what it makes go wrong, and what it remembers."""

from pathlib import Path

import pytest

from tests.kubernetes.asking import HOST, READ_PODS, Api
from tests.support.fake_kubernetes import FakeKubernetes, Refusal
from tests.support.fake_kubernetes.wire import Request
from tests.support.https import ClosedError, Connection

PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
def admin(fake: FakeKubernetes) -> Api:
    return Api(fake, fake.admin_token, "default")


def test_a_service_account_may_what_its_rules_say(fake: FakeKubernetes) -> None:
    everywhere = Api(fake, fake.service_account("tools", "reader", rules=[READ_PODS]), "default")
    assert everywhere.ask("GET", PODS).status == 200
    assert everywhere.ask("GET", "/api/v1/namespaces/default/secrets").status == 403
    token = fake.service_account("tools", "local", rules=[READ_PODS], namespaces=["tools"])
    local = Api(fake, token, "default")
    assert local.ask("GET", "/api/v1/namespaces/tools/pods").status == 200
    assert local.ask("GET", PODS).status == 403
    nothing = Api(fake, fake.service_account("tools", "nothing", rules=None), "default")
    assert nothing.ask("GET", PODS).status == 403
    assert Api(fake, fake.service_account("tools", "all"), "default").ask("GET", PODS).status == 200


def test_a_token_that_was_rotated_is_refused(fake: FakeKubernetes) -> None:
    old = fake.service_account("tools", "agent")
    new = fake.rotate_token("tools", "agent")
    assert Api(fake, old, "default").ask("GET", PODS).status == 401
    assert Api(fake, new, "default").ask("GET", PODS).status == 200
    fake.expire_token(new)
    assert Api(fake, new, "default").ask("GET", PODS).status == 401


def test_the_files_of_a_service_account_are_those_of_a_pod(fake: FakeKubernetes, tmp_path: Path) -> None:
    token = fake.service_account("tools", "agent")
    folder = fake.write_service_account_files(tmp_path / "serviceaccount", "tools", token)
    assert (folder / "namespace").read_text() == "tools"
    found = (folder / "token").read_text()
    with Connection(fake.port, server_name=HOST, ca_file=folder / "ca.crt") as connection:
        answer = connection.request("GET", PODS, HOST, headers=[("Authorization", f"Bearer {found}")])
    assert answer.status == 200


def test_an_error_comes_as_often_as_it_was_ordered(fake: FakeKubernetes, admin: Api) -> None:
    fake.troubles.error(429, retry_after=7, times=2, path="/pods")
    for _ in range(2):
        answer = admin.ask("GET", PODS)
        assert answer.status == 429
        assert answer.header("retry-after") == "7"
        assert answer.json()["details"]["retryAfterSeconds"] == 7
    assert admin.ask("GET", PODS).status == 200


def test_a_lost_answer_leaves_the_effect(fake: FakeKubernetes, admin: Api) -> None:
    fake.troubles.drop(method="POST", after=True)
    with pytest.raises(ClosedError):
        admin.ask("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})
    assert fake.get("ConfigMap", "a")


def test_a_hanging_request_ends_with_the_switch(fake: FakeKubernetes, admin: Api) -> None:
    fake.troubles.hang()
    with Connection(fake.port, server_name=HOST, ca_file=fake.ca_file) as connection:
        connection.send(f"GET {PODS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        fake.wait_for(lambda: fake.calls(path=PODS), "the request")
        assert admin.ask("GET", PODS).status == 200
        fake.troubles.clear()
        with pytest.raises(ClosedError):
            connection.read_answer()


def test_a_restart_ends_connections_and_keeps_objects(fake: FakeKubernetes, admin: Api) -> None:
    fake.add_deployment("web")
    with admin.watch(PODS) as events:
        events.next()
        fake.restart()
        with pytest.raises(ClosedError):
            events.rest()
    assert len(admin.get(PODS)["items"]) == 1
    with fake.down(), pytest.raises(ConnectionRefusedError):
        admin.ask("GET", PODS)


def test_connections_are_closed_while_new_ones_are_taken(fake: FakeKubernetes, admin: Api) -> None:
    with admin.watch(PODS) as events:
        fake.close_connections()
        with pytest.raises(ClosedError):
            events.rest()
    assert admin.ask("GET", PODS).status == 200


def test_bookmarks_are_sent_when_they_are_told_to_those_who_asked(fake: FakeKubernetes, admin: Api) -> None:
    with (
        admin.watch(PODS, resource_version=fake.store.version, allow_watch_bookmarks="true") as marked,
        admin.watch(PODS, resource_version=fake.store.version) as unmarked,
    ):
        fake.wait_for_open_calls(2, verb="watch")
        fake.send_bookmarks()
        event = marked.next()
        assert event["type"] == "BOOKMARK"
        assert event["object"]["kind"] == "Pod"
        assert event["object"]["metadata"]["resourceVersion"] == str(fake.store.version)
        fake.add_deployment("web")
        assert unmarked.next()["type"] == "ADDED"


def test_open_watches_end_with_410_when_they_are_told_to(fake: FakeKubernetes, admin: Api) -> None:
    with admin.watch(PODS, resource_version=fake.store.version) as events:
        fake.wait_for_open_calls(1, verb="watch")
        fake.expire_watches()
        assert [event["object"]["code"] for event in events.rest()] == [410]


def test_a_watch_is_told_to_end_also_before_its_first_event(fake: FakeKubernetes) -> None:
    asked = Request(
        method="GET",
        path=PODS,
        query={"watch": "true", "resourceVersion": str(fake.store.version), "timeoutSeconds": "1"},
        headers={"authorization": f"Bearer {fake.admin_token}"},
    )
    reply = fake.gateway.handle(asked)
    assert reply is not None
    assert fake.open_calls(verb="watch")
    fake.expire_watches()
    assert not isinstance(reply.body, bytes)
    assert b'"code":410' in b"".join(reply.body)


def test_a_watch_that_leaves_is_noticed(fake: FakeKubernetes, admin: Api) -> None:
    with admin.watch(PODS):
        fake.wait_for_open_calls(1, verb="watch", path="/pods")
    fake.wait_for_open_calls(0, verb="watch")


def test_requests_are_recorded_without_their_secrets(fake: FakeKubernetes, admin: Api) -> None:
    fake.add_namespace("tools")
    agent = Api(fake, fake.service_account("tools", "agent"), "default")
    agent.ask("GET", PODS, label_selector="app=web")
    admin.ask("DELETE", f"{PODS}/nothing")
    [listed] = fake.calls(verb="list")
    assert (listed.user, listed.query, listed.status) == (
        "system:serviceaccount:tools:agent",
        {"labelSelector": "app=web"},
        200,
    )
    [deleted] = fake.calls(method="DELETE")
    assert (deleted.verb, deleted.path, deleted.status) == ("delete", f"{PODS}/nothing", 404)
    assert fake.admin_token not in repr(fake.requests)


def test_a_test_is_refused_as_clients_are(fake: FakeKubernetes) -> None:
    with pytest.raises(Refusal, match='pods "p" not found'):
        fake.get("Pod", "p")
    broken = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": []}}
    with pytest.raises(Refusal, match=r"spec\.containers: Required value"):
        fake.create(broken)
