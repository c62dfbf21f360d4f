"""How the fake GitHub fails, and how it delivers webhooks."""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from certs import HTTP_ALPN, Authority, server_context
from tests.github.asking import ask, authorize_path, connect, furnished
from tests.support.fake_github import FakeGitHub, UnknownError, sign
from tests.support.fake_github.server import Server
from tests.support.fake_github.wire import Reply, Request
from tests.support.https import Answer, ClosedError, request_bytes
from tests.support.processes import Running


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeGitHub]:
    with furnished(tmp_path) as github:
        yield github


class Hook:
    """A receiver of webhooks at https://api.localhost with a CA of its own."""

    def __init__(self, folder: Path) -> None:
        authority = Authority.create()
        self.ca_file, certificate, key = folder / "hook-ca.pem", folder / "hook.pem", folder / "hook.key"
        authority.write(self.ca_file, folder / "hook-ca.key")
        authority.leaf(["api.localhost"]).write(certificate, key)
        self.received: list[Request] = []
        self.reply = Reply(status=202, body=b"taken")
        self.answer: Callable[[Request], Reply] = lambda _: self.reply
        self.server = Server(self._take, server_context(certificate, key, alpn=(HTTP_ALPN,)))

    @property
    def url(self) -> str:
        return f"https://api.localhost:{self.server.port}/hooks/github"

    def _take(self, request: Request) -> Reply:
        self.received.append(request)
        return self.answer(request)


@pytest.fixture
def hook(fake: FakeGitHub, tmp_path: Path) -> Iterator[Hook]:
    receiver = Hook(tmp_path)
    receiver.server.start()
    fake.set_hook(receiver.url, ca_file=receiver.ca_file)
    yield receiver
    receiver.server.close()


def post_status(fake: FakeGitHub, sha: str) -> Answer:
    token = fake.installation_token("acme")
    return ask(fake, "POST", f"/repos/acme/shop/statuses/{sha}", token=token, value={"state": "pending"})


# --- failures ---


def test_answers_count_the_rate_limit_down_and_the_limit_holds(fake: FakeGitHub) -> None:
    fake.limits.limit = 2
    answers = [ask(fake, "GET", "/app", token=fake.app_jwt()) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 403]
    assert [answer.header("x-ratelimit-remaining") for answer in answers] == ["1", "0", "0"]
    assert ask(fake, "GET", "/user", token=fake.user_token("dev-one")).status == 200
    fake.clock.advance(3601)
    assert ask(fake, "GET", "/app", token=fake.app_jwt()).status == 200


@pytest.mark.parametrize("status", [403, 429])
def test_the_primary_limit_fails_as_many_calls_as_it_was_told(fake: FakeGitHub, status: int) -> None:
    now = fake.clock.freeze()
    fake.troubles.primary_limit(status=status, reset_in=90, times=2)
    answers = [ask(fake, "GET", "/app", token=fake.app_jwt()) for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 200]
    assert answers[0].header("x-ratelimit-remaining") == "0"
    assert answers[0].header("x-ratelimit-reset") == str(int(now + 90))
    assert answers[0].json()["message"].startswith("API rate limit exceeded")


@pytest.mark.parametrize("retry_after", [7, None])
def test_the_secondary_limit_fails_the_paths_it_was_told(fake: FakeGitHub, retry_after: int | None) -> None:
    sha = fake.add_commit("acme/shop")
    fake.troubles.secondary_limit(retry_after=retry_after, path="/statuses/", method="POST")
    assert ask(fake, "GET", "/app", token=fake.app_jwt()).status == 200
    answer = post_status(fake, sha)
    assert answer.status == 403
    assert answer.header("retry-after") == (None if retry_after is None else str(retry_after))
    assert answer.header("x-ratelimit-remaining") != "0"
    assert "secondary rate limit" in answer.json()["message"]
    assert fake.statuses() == []
    assert post_status(fake, sha).status == 201


def test_server_errors_last_until_they_are_cleared(fake: FakeGitHub) -> None:
    fake.troubles.error(500, times=None, path="/app$")
    fake.troubles.error(502, times=None)
    assert ask(fake, "GET", "/app", token=fake.app_jwt()).json() == {"message": "Server Error"}
    assert ask(fake, "POST", "/login/oauth/access_token").status == 502
    assert ask(fake, "GET", authorize_path(fake)).status == 200
    fake.troubles.clear()
    assert ask(fake, "GET", "/app", token=fake.app_jwt()).status == 200


@pytest.mark.parametrize(("after", "kept"), [(False, 0), (True, 1)])
def test_a_dropped_call_took_effect_only_if_it_was_to(fake: FakeGitHub, after: bool, kept: int) -> None:  # noqa: FBT001
    sha = fake.add_commit("acme/shop")
    fake.troubles.drop(after=after)
    with pytest.raises(ClosedError):
        post_status(fake, sha)
    assert len(fake.statuses("acme/shop", sha=sha)) == kept
    assert fake.calls()[-1].status == 0


def test_a_hanging_call_gets_no_answer_and_ends_when_released(fake: FakeGitHub) -> None:
    fake.troubles.hang(times=None)
    with connect(fake) as connection:
        connection.send(request_bytes("GET", fake.api_prefix + "/app", fake.host))
        assert fake.wait_for_calls(path="/app")[0].status == 0
        fake.troubles.release()
        assert connection.receive() == b""


def test_the_end_of_the_fake_ends_what_hangs(tmp_path: Path) -> None:
    with furnished(tmp_path) as fake:
        fake.troubles.hang(times=None)
        with connect(fake) as connection:
            connection.send(request_bytes("GET", fake.api_prefix + "/app", fake.host))
            fake.wait_for_calls()
            fake.close()
            assert connection.receive() == b""


def test_a_server_that_is_down_refuses_and_comes_back_on_its_port(fake: FakeGitHub) -> None:
    with connect(fake) as kept:
        host = f"{fake.host}:{fake.port}"
        headers = {"user-agent": "test", "authorization": f"Bearer {fake.app_jwt()}"}
        assert kept.request("GET", fake.api_prefix + "/app", host, headers=headers.items()).status == 200
        assert kept.request("GET", fake.api_prefix + "/app", host, headers=headers.items()).status == 200
        with fake.down():
            assert kept.receive() == b""
            with pytest.raises(ConnectionRefusedError):
                connect(fake)
    assert ask(fake, "GET", "/app", token=fake.app_jwt()).status == 200


def test_a_call_without_a_user_agent_or_of_an_unknown_version_is_refused(fake: FakeGitHub) -> None:
    assert ask(fake, "GET", "/app", token=fake.app_jwt(), headers={"user-agent": ""}).status == 403
    old = {"x-github-api-version": "2019-01-01"}
    assert ask(fake, "GET", "/app", token=fake.app_jwt(), headers=old).status == 400


# --- webhooks ---


def test_a_webhook_is_signed_and_named_as_github_does(fake: FakeGitHub, hook: Hook) -> None:
    event = fake.open_pull_request("acme/shop", branch="feat")
    assert event.delivery is not None
    assert (event.delivery.status, event.delivery.attempts[0].body) == (202, b"taken")
    request = hook.received[0]
    headers = request.headers
    expected = hmac.new(fake.app.webhook_secret.encode(), request.body, hashlib.sha256).hexdigest()
    assert headers["x-hub-signature-256"] == f"sha256={expected}"
    assert headers["x-hub-signature"].startswith("sha1=")
    assert headers["user-agent"].startswith("GitHub-Hookshot/")
    assert (headers["x-github-event"], headers["content-type"]) == ("pull_request", "application/json")
    assert headers["x-github-hook-installation-target-id"] == str(fake.app.id)
    assert headers["host"] == f"api.localhost:{hook.server.port}"
    assert json.loads(request.body) == event.payload
    assert event.payload["installation"]["id"] == fake.installation("acme").id


def test_a_redelivery_keeps_guid_and_body(fake: FakeGitHub, hook: Hook) -> None:
    first = fake.open_pull_request("acme/shop").delivery
    assert first is not None
    hook.reply = Reply(status=500)
    again = fake.redeliver(first.guid)
    assert [attempt.status for attempt in again.attempts] == [202, 500]
    assert [item.body for item in hook.received] == [first.sent_body] * 2
    assert {item.headers["x-github-delivery"] for item in hook.received} == {first.guid}
    assert len(fake.deliveries) == 1
    with pytest.raises(UnknownError):
        fake.redeliver("another")


def test_a_webhook_can_be_spoilt(fake: FakeGitHub, hook: Hook) -> None:
    fake.deliver("ping", {}, secret="another", guid="g-1")
    fake.deliver("ping", {}, headers={"x-hub-signature-256": None, "x-github-event": "odd"})
    fake.deliver("ping", {}, body=b"not json")
    forged, unsigned, garbage = hook.received
    assert forged.headers["x-hub-signature-256"] == sign(b"{}", "another")
    assert forged.headers["x-github-delivery"] == "g-1"
    assert "x-hub-signature-256" not in unsigned.headers
    assert unsigned.headers["x-github-event"] == "odd"
    assert garbage.body == b"not json"
    assert garbage.headers["x-hub-signature-256"] == sign(b"not json", fake.app.webhook_secret)


def test_a_hook_that_cannot_be_reached_or_trusted_is_recorded(fake: FakeGitHub, hook: Hook) -> None:
    fake.set_hook(hook.url, ca_file=fake.ca_file)
    untrusted = fake.ping().delivery
    hook.server.stop()
    refused = fake.ping().delivery
    assert untrusted is not None
    assert refused is not None
    assert untrusted.attempts[0].error.startswith("SSLCertVerificationError")
    assert refused.attempts[0].error.startswith("ConnectionRefusedError")
    assert hook.received == []


def test_the_life_of_a_pull_request_is_told(fake: FakeGitHub, hook: Hook) -> None:
    number = fake.open_pull_request("acme/shop", author="dev-two").number
    before = fake.pull_request("acme/shop", number).head_sha
    pushed = fake.push("acme/shop", number)
    fake.edit_pull_request("acme/shop", number, title="Better", sender="dev-one")
    fake.close_pull_request("acme/shop", number)
    fake.reopen_pull_request("acme/shop", number)
    fake.close_pull_request("acme/shop", number, merged=True)
    told: list[dict[str, Any]] = [json.loads(item.body) for item in hook.received]
    actions = ["opened", "synchronize", "edited", "closed", "reopened", "closed"]
    assert [item["action"] for item in told] == actions
    assert (told[1]["before"], told[1]["after"]) == (before, pushed.sha)
    assert told[2]["sender"]["login"] == "dev-one"
    assert [item["pull_request"]["merged"] for item in told] == [False] * 5 + [True]
    assert {item["organization"]["login"] for item in told} == {"acme"}


def test_the_life_of_an_installation_is_told(fake: FakeGitHub, hook: Hook) -> None:
    fake.add_repository("dev-one/site")
    fake.add_repository("dev-one/notes")
    fake.install("dev-one", repositories=["dev-one/site"])
    fake.add_repositories("dev-one", "dev-one/notes")
    fake.remove_repositories("dev-one", "dev-one/site")
    fake.suspend("dev-one")
    fake.unsuspend("dev-one")
    fake.uninstall("dev-one")
    told = [(item.headers["x-github-event"], json.loads(item.body)) for item in hook.received]
    assert [(name, payload["action"]) for name, payload in told] == [
        ("installation", "created"),
        ("installation_repositories", "added"),
        ("installation_repositories", "removed"),
        ("installation", "suspend"),
        ("installation", "unsuspend"),
        ("installation", "deleted"),
    ]
    assert [item["full_name"] for item in told[0][1]["repositories"]] == ["dev-one/site"]
    assert [item["full_name"] for item in told[1][1]["repositories_added"]] == ["dev-one/notes"]
    assert [item["full_name"] for item in told[2][1]["repositories_removed"]] == ["dev-one/site"]
    assert {payload["installation"]["account"]["type"] for _, payload in told} == {"User"}
    assert told[3][1]["installation"]["suspended_at"] is not None


def test_nothing_is_delivered_where_the_app_is_not_or_is_suspended_or_is_not_asked(
    fake: FakeGitHub, hook: Hook
) -> None:
    fake.add_repository("dev-one/site")
    assert fake.open_pull_request("dev-one/site").delivery is None
    silent = fake.open_pull_request("acme/shop", deliver=False)
    fake.suspend("acme", deliver=False)
    fake.push("acme/shop", silent.number)
    assert hook.received == []
    assert fake.deliver(silent.name, silent.payload).status == 202


def test_who_gets_a_webhook_may_call_the_api_before_it_answers(fake: FakeGitHub, hook: Hook) -> None:
    token = fake.installation_token("acme")
    seen: list[str] = []

    def call_back(request: Request) -> Reply:
        number = json.loads(request.body)["number"]
        seen.append(ask(fake, "GET", f"/repos/acme/shop/pulls/{number}", token=token).json()["title"])
        return Reply(status=204)

    hook.answer = call_back
    fake.open_pull_request("acme/shop", title="Faster")
    assert seen == ["Faster"]


# --- as others hold it ---


def test_waiting_ends_with_the_call_and_with_patience(fake: FakeGitHub) -> None:
    caller = threading.Thread(target=ask, args=(fake, "GET", "/app"), kwargs={"token": fake.app_jwt()})
    caller.start()
    assert fake.wait_for_calls(path="/APP", auth="app")[0].status == 200
    caller.join()
    with pytest.raises(AssertionError, match="2 calls"):
        fake.wait_for_calls(2, path="/app", seconds=0)


def test_one_authority_serves_the_fake_and_others(tmp_path: Path) -> None:
    authority = Authority.create()
    with FakeGitHub(tmp_path, authority=authority, host="127.0.0.1", api_prefix="") as fake:
        assert fake.ca_file.read_bytes() == authority.pem
        assert fake.api_url == f"https://127.0.0.1:{fake.port}"
        assert ask(fake, "GET", "/app", token=fake.app_jwt()).status == 200


@pytest.mark.system
def test_it_runs_as_a_process_and_keeps_its_state(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    facts = []
    for _ in range(2):
        with Running.module("tests.support.fake_github", "--state-file", str(file)) as process:
            facts.append(json.loads(process.wait_for_line(r'^\{"port".*')[0]))
            assert Path(facts[-1]["private_key_file"]).is_file()
            assert process.stop() == 0
    assert {item["client_secret"] for item in facts} == {facts[0]["client_secret"]}
    assert [item["login"] for item in json.loads(file.read_text())["accounts"]] == ["dev-one", "dev-two", "acme"]
