"""A changed certificate serves new connections; those that are open, and tunnels, stay up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from certs import Authority
from tests.support.deployment import Deployment
from tests.support.https import Connection
from tests.support.processes import Running
from tests.support.site import SampleApp, preview

pytestmark = pytest.mark.system

HOST = preview("web", "shop")


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path) as deployment:
        deployment.init()
        yield deployment


def visit(relay: Deployment, connection: Connection) -> None:
    answer = connection.request("GET", "/headers", relay.authority(HOST), headers=[relay.key_header])
    assert answer.status == 200


def rotate(relay: Deployment, process: Running, names: list[str]) -> None:
    authority = Authority.load(relay.ca_file, relay.folder / "ca.key")
    authority.leaf(names).write(relay.folder / "relay.pem", relay.folder / "relay.key")
    process.wait_for_line(r'"event": "certificate_reloaded"')


def test_a_new_certificate_is_used_and_nothing_is_dropped(relay: Deployment, sample: SampleApp) -> None:
    process = relay.start_relay()
    agent = relay.start_agent()
    relay.apply("shop", web=sample.port)
    with relay.connect(HOST) as before:
        visit(relay, before)
        first = before.certificate()
        mark = agent.mark()
        rotate(relay, process, ["*.preview.localhost", *(relay.host_names[name] for name in ("api", "tunnel"))])
        visit(relay, before)  # the connection that was open goes on
        with relay.connect(HOST) as after:
            visit(relay, after)
            assert after.certificate() != first
    assert agent.mark() == mark  # not a word: its tunnel is the same
