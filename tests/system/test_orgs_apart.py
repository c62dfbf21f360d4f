"""Two orgs of one relay with the same names for everything: nothing crosses."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.byte_target import ByteTarget
from tests.support.deployment import Deployment
from tests.support.site import PREVIEW, Site, preview

pytestmark = pytest.mark.system

HOST = preview("web", "shop")


@pytest.fixture(scope="module")
def orgs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Site, ByteTarget, ByteTarget]]:
    """The deployment of `acme`, the site of `globex`, and the target of each."""
    with Deployment(tmp_path_factory.mktemp("orgs")) as acme, ByteTarget() as ours, ByteTarget() as theirs:
        acme.init()
        other_key = acme.init_org("globex")
        acme.start_relay()
        acme.start_agent()
        acme.apply("shop", web=ours.port)
        globex = replace(Site.of(acme), org="globex", api_key=other_key)
        token, _ = globex.add_cluster("staging")
        acme.start_agent(cluster="staging-of-globex", token=token)
        globex.apply("shop", web=theirs.port)
        yield acme, globex, ours, theirs


def test_one_hostname_leads_each_org_to_its_own_target(orgs: tuple[Deployment, Site, ByteTarget, ByteTarget]) -> None:
    acme, globex, ours, theirs = orgs
    for site, mine, foreign in ((acme, ours, theirs), (globex, theirs, ours)):
        for host in (HOST, f"web--shop--{site.org}.{PREVIEW}"):
            assert site.ask(host, f"/{site.org}").status == 200
            assert [seen.target for seen in mine.take()] == [f"/{site.org}".encode()]
            assert foreign.take() == []


def test_the_other_orgs_hostname_and_api_are_refused(orgs: tuple[Deployment, Site, ByteTarget, ByteTarget]) -> None:
    acme, globex, ours, theirs = orgs
    for site, other in ((acme, globex), (globex, acme)):
        assert site.ask(f"web--shop--{other.org}.{PREVIEW}").status == 403
        paths = ("", "/shop", "?cursor=x")
        answers = [site.call("GET", f"/orgs/{other.org}/workspaces{path}") for path in paths]
        answers += [site.call(method, f"/orgs/{other.org}/workspaces/shop") for method in ("DELETE", "GET")]
        answers.append(site.call("PUT", f"/orgs/{other.org}/workspaces/shop", {"spec": {"cluster": "staging"}}))
        assert {answer.status for answer in answers} == {403}
    assert ours.take() == theirs.take() == []


def test_keys_of_one_org_are_no_ids_of_the_other(orgs: tuple[Deployment, Site, ByteTarget, ByteTarget]) -> None:
    acme, globex, *_ = orgs
    foreign = globex.api("GET", "/api-keys")["items"][0]["id"]
    assert acme.call("DELETE", f"/orgs/{acme.org}/api-keys/{foreign}").status == 404
    token = globex.api("GET", "/clusters/staging/tokens")["items"][0]["id"]
    assert acme.call("DELETE", f"/orgs/{acme.org}/clusters/staging/tokens/{token}").status == 404
    assert globex.call("GET", f"/orgs/{globex.org}/workspaces").status == 200


def test_deleting_in_one_org_leaves_the_other_as_it_is(orgs: tuple[Deployment, Site, ByteTarget, ByteTarget]) -> None:
    acme, globex, _, theirs = orgs
    acme.apply("other", web=theirs.port)
    globex.apply("other", web=theirs.port)
    acme.api("DELETE", "/workspaces/other")
    assert acme.ask(preview("web", "other")).status == 404
    assert globex.ask(preview("web", "other")).status == 200
    assert len(theirs.take()) == 1
