"""`signadot-relay login-link`: one URL, or one clear line that says why not."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.support.deployment import Deployment
from tests.support.processes import run_module
from tests.support.site import APP

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("links")) as deployment:
        deployment.init()
        deployment.start_relay()
        yield deployment


def link(relay: Deployment, *arguments: str) -> tuple[int, str, str]:
    done = run_module("relay", "login-link", "--config", relay.config, *arguments)
    return done.returncode, done.stdout, done.stderr


def test_the_link_signs_in_at_the_running_relay_once(relay: Deployment) -> None:
    code, out, error = link(relay, "--user", "ada", "--org", relay.org, "--role", "admin", "--port", str(relay.port))
    assert (code, error) == (0, "")
    url = re.fullmatch(rf"https://app\.localhost:{relay.port}(/login/link\?code=(sds_\w+))\n", out)
    assert url is not None
    page = relay.ask(APP, url[1], api_key="")
    assert page.status == 200
    assert b"Sign in as ada?" in page.body
    headers = (("origin", f"https://app.localhost:{relay.port}"), ("content-type", "application/x-www-form-urlencoded"))
    for status in (303, 400):
        done = relay.ask(
            APP, "/login/link", method="POST", headers=headers, body=urlencode({"code": url[2]}).encode(), api_key=""
        )
        assert done.status == status
        cookie = done.header("set-cookie")
        if cookie is not None:
            home = relay.ask(APP, "/", headers=(("cookie", cookie.partition(";")[0]),), api_key="")
            assert b"You are an admin here." in home.body
    # Known by now: neither org nor role need be named again.
    assert link(relay, "--user", "ada", "--port", "8443")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--user", "Ada", "--org", "acme", "--port", "1"), "user: 'Ada' must be"),
        (("--user", "a b", "--org", "acme", "--port", "1"), "user: 'a b' must be"),
        (("--user", "a" * 65, "--org", "acme", "--port", "1"), "must be 1 to 64 characters"),
        (("--user", "eve", "--org", "nobody", "--port", "1"), "there is no organisation 'nobody'"),
        (("--user", "eve", "--port", "1"), "name one, with --org"),
        (("--user", "eve", "--role", "admin", "--port", "1"), "name the organisation as well"),
        (("--user", "eve", "--org", "acme"), "listen.public: port 0"),
    ],
)
def test_a_mistake_is_one_clear_line(relay: Deployment, arguments: tuple[str, ...], sentence: str) -> None:
    code, out, error = link(relay, *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert sentence in error
