"""200 planted values, on either engine: none may rest in clear in the database, or be said by logs and metrics."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.deployment import Deployment
from tests.support.planted import hits, planted
from tests.support.processes import Running, run
from tests.support.site import PREVIEW, PROXY, SampleApp, preview

pytestmark = pytest.mark.system

EACH = 20


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path) as deployment:
        deployment.init()
        yield deployment


def refused(relay: Deployment, workspace: str, *, key: bool) -> bytes:
    """The page of an error behind which there are planted values, for a member or for a stranger."""
    host = preview("hidden", workspace) if key else f"hidden--{workspace}--{relay.org}.{PREVIEW}"
    answer = relay.ask(host, headers=(("accept", "text/html"),), api_key=None if key else "")
    assert answer.status == 502
    return answer.body


def plant(relay: Deployment, sample: SampleApp, pages: list[bytes]) -> list[str]:
    """Makes workspaces and tokens out of planted values, visits them, and keeps the error pages that came back."""
    kinds = ("repository", "branch", "commit", "words", "label", "image", "tag", "target", "header", "token")
    values = {kind: planted(kind, EACH) for kind in kinds}
    for number in range(EACH):
        of = {kind: values[kind][number] for kind in kinds}
        relay.api("POST", f"/clusters/{relay.cluster}/tokens", {"description": of["token"]})
        spec = {
            "cluster": relay.cluster,
            "description": of["words"],
            "labels": {"planted": of["label"]},
            "images": [{"name": f"acme/{of['image']}", "newTag": of["tag"]}],
            "github": {"repository": f"acme/{of['repository']}", "branch": of["branch"], "headCommit": of["commit"]},
            "endpoints": [
                {"name": "web", "target": f"http://127.0.0.1:{sample.port}"},
                {"name": "hidden", "target": f"http://{of['target']}.shop.svc:8080", "visibility": "public"},
            ],
            "routingHeaders": [{"name": "x-variant", "value": of["header"]}],
        }
        relay.api("PUT", f"/workspaces/w{number}", {"spec": spec})
        assert relay.api("GET", f"/workspaces/w{number}")["spec"]["description"] == of["words"]
        shown = relay.ask(preview("web", f"w{number}"), "/headers")
        assert ["x-variant", of["header"]] in shown.json()["headers"]
        pages.append(refused(relay, f"w{number}", key=True))
        pages.append(refused(relay, f"w{number}", key=False))
        with relay.connect(PROXY) as visitor:
            visitor.send(relay.tunnel_request(f"{of['target']}.shop.svc:8080"))
            assert visitor.read_answer().status == 502
    return [value for kind in kinds for value in values[kind]]


def metrics(relay: Deployment) -> bytes:
    done = run("curl", "--silent", "--fail", f"http://127.0.0.1:{relay.metrics_port}/metrics")
    assert "signadot_requests_total" in done.stdout
    return done.stdout.encode()


def test_planted_values_are_found_nowhere_outside(relay: Deployment, sample: SampleApp) -> None:
    process = relay.start_relay()
    relay.start_agent()
    pages: list[bytes] = []
    values = plant(relay, sample, pages)
    assert len(values) == 200
    found = hits(values, metrics(relay), "metrics") + hits(values, b"".join(pages), "error pages")
    found += _on_disk(relay, values)  # while it runs, with its WAL
    process.kill()  # so that the WAL is left as it is
    found += _on_disk(relay, values)
    again = relay.start_relay()
    assert relay.api("GET", "/workspaces/w0")["spec"]["labels"]["planted"] in values
    assert again.stop() == 0
    found += _on_disk(relay, values) + _said(process, values) + _said(again, values)
    assert found == []


@pytest.mark.skipif(bool(postgres.why_not()), reason=postgres.why_not())
def test_planted_values_are_in_no_dump_of_postgresql_either(tmp_path: Path, sample: SampleApp) -> None:
    with postgres.free_server() as server:
        database = server.create_database()
        with Deployment(tmp_path, settings={"store": {"url": server.url(database)}}) as relay:
            relay.init()
            process = relay.start_relay()
            relay.start_agent()
            pages: list[bytes] = []
            values = plant(relay, sample, pages)
            found = hits(values, metrics(relay), "metrics") + hits(values, b"".join(pages), "error pages")
            dump = server.run("pg_dump", database=database).encode()
            assert b"workspace_endpoints" in dump
            assert len(dump) > 100_000
            found += hits(values, dump, "pg_dump")
            assert process.stop() == 0
            found += _said(process, values)
        assert found == []


def test_secrets_are_said_by_no_log_and_stand_in_no_database(relay: Deployment, sample: SampleApp) -> None:
    process = relay.start_relay()
    token, _ = relay.add_cluster(relay.cluster)
    agent = relay.start_agent(token=token)
    relay.apply("shop", web=sample.port)
    assert relay.ask(preview("web", "shop"), "/headers?password=hunter2").status == 200
    assert process.stop() == 0
    values = [relay.api_key, token, (relay.folder / "master.key").read_text().strip(), "hunter2"]
    assert _on_disk(relay, values) + _said(process, values) + _said(agent, values) == []


def _on_disk(relay: Deployment, values: list[str]) -> list[str]:
    files = list(relay.folder.glob("relay.db*"))
    assert files
    return [hit for path in files for hit in hits(values, path.read_bytes(), path.name)]


def _said(process: Running, values: list[str]) -> list[str]:
    assert process.output
    return hits(values, process.output.encode(), f"output of {process.name}")
