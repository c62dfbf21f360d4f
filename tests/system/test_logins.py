"""A browser's login over a relay process: from the first navigation to the page, and to the end of the place."""

import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from relay import config
from relay.auth import parse_nonce_hash
from relay.setup import open_store
from relay.store import Database, login_codes, logins, members, orgs, users
from tests.support.deployment import Deployment
from tests.support.signing_in import NAVIGATE, OWN, cookie_of
from tests.support.site import SampleApp, preview

pytestmark = pytest.mark.system

HOST = preview("web", "shop")
SIBLING = (("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "empty"), ("Sec-Fetch-Site", "same-site"))


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory, sample: SampleApp) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("logins")) as deployment:
        deployment.init()
        deployment.start_relay()
        deployment.start_agent()
        deployment.apply("shop", web=sample.port)
        yield deployment


@pytest.fixture
def database(relay: Deployment) -> Iterator[Database]:
    """The relay's database, opened by another process as well."""
    database = open_store(config.load(relay.config, {}))
    yield database
    database.close()


def test_a_person_gets_from_a_preview_url_to_the_page_and_out_again(relay: Deployment, database: Database) -> None:
    asked = relay.ask(HOST, "/headers?x=1", api_key="", headers=NAVIGATE)
    assert asked.status == 302
    query = parse_qs(urlsplit(asked.header("location") or "").query)
    nonce_hash = parse_nonce_hash(query["nonce"][0])
    assert nonce_hash is not None

    # What the app host does once it knows who it is.
    org = database.read_now(orgs.find, relay.org)
    assert org is not None
    user = database.write_now(users.put, provider="local", subject="alice", login="alice")
    database.write_now(members.put, org.id, user.id, source="local")
    login, _ = database.write_now(logins.create, user.id, seconds=3600)
    code = database.write_now(
        login_codes.create, login.id, host=HOST, return_to=query["return_to"][0], nonce_hash=nonce_hash
    )

    nonce = cookie_of(asked, "__Host-sd-nonce")
    path = f"/.signadot/login?code={code}"
    back = relay.ask(HOST, path, api_key="", headers=(*NAVIGATE, nonce))
    assert (back.status, back.header("location")) == (302, f"https://{relay.authority(HOST)}/headers?x=1")
    assert relay.ask(HOST, path, api_key="", headers=(*NAVIGATE, nonce)).status == 400

    cookie = cookie_of(back, "__Host-sd-preview")
    page = relay.ask(HOST, "/headers?x=1", api_key="", headers=(*NAVIGATE, cookie))
    assert page.status == 200
    assert b"__Host-sd" not in page.body
    assert relay.ask(HOST, "/headers", api_key="", headers=(*OWN, cookie)).status == 200
    assert relay.ask(HOST, "/headers", api_key="", headers=(*SIBLING, cookie)).status == 403

    database.write_now(members.remove, org.id, user.id)
    deadline = time.monotonic() + 5
    while (answer := relay.ask(HOST, "/headers", api_key="", headers=(*OWN, cookie))).status == 200:
        assert time.monotonic() < deadline
    assert (answer.status, answer.json()["code"]) == (403, "forbidden")
