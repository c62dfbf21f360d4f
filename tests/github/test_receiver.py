"""POST /github/webhook: what is not signed reaches nothing; what is known has no second effect."""

import json
import random
import uuid

import httpx2
import pytest
from sqlalchemy import func, select

from relay.auth import sign_webhook
from relay.control import make_api
from relay.store.rows import Transaction
from relay.store.schema import deliveries, events, workspaces
from tests.github.stage import REPOSITORY, SECRET, Stage, services_of, signed_headers

MUTATIONS = 10_000


def count(tx: Transaction) -> tuple[int, ...]:
    tables = (deliveries, workspaces, events)
    return tuple(tx.connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def mutated(body: bytes, rng: random.Random) -> tuple[bytes, list[tuple[str, str]]]:
    """A delivery with one thing wrong: its body, its signature, or the header that carries it."""
    good = sign_webhook(body, SECRET)
    kind = rng.randrange(8)
    at = rng.randrange(len(body))
    signatures: list[tuple[str, str]] = [("x-hub-signature-256", good)]
    if kind == 0:
        body = body[:at] + bytes([body[at] ^ (1 << rng.randrange(8))]) + body[at + 1 :]
    elif kind == 1:
        body = body[:at] + bytes([rng.randrange(256)]) + body[at:]
    elif kind == 2:
        body = body[:at] + body[at + 1 :]
    elif kind == 3:
        place = rng.randrange(7, len(good))
        digit = rng.choice([digit for digit in "0123456789abcdefABCDEFg" if digit != good[place]])
        signatures = [("x-hub-signature-256", good[:place] + digit + good[place + 1 :])]
    elif kind == 4:
        signatures = [("x-hub-signature-256", sign_webhook(body, rng.randbytes(rng.randrange(1, 40))))]
    elif kind == 5:
        other = rng.choice(
            [good[7:], good.upper(), "sha1=" + good[7:47], good + "0", good[:-1], f'"{good}"', f"{good},{good}", ""]
        )
        signatures = [("x-hub-signature-256", other)]
    elif kind == 6:
        name = rng.choice(["x-hub-signature", "x-hub-signature-512", "signature", "authorization"])
        signatures = [(name, good)]
    else:
        signatures = [*signatures, ("x-hub-signature-256", rng.choice([good, "sha256=" + "0" * 64]))]
    headers = [header for header in signed_headers(body) if header[0] != "x-hub-signature-256"]
    return body, headers + signatures


async def test_none_of_ten_thousand_spoilt_deliveries_is_accepted(stage: Stage) -> None:
    body = json.dumps(stage.fake.open_pull_request(REPOSITORY, number=9).payload).encode()
    before = await stage.database.read(count)
    rng = random.Random(20_26)
    statuses = {401: 0}
    for _ in range(MUTATIONS):
        answer = await stage.post(*mutated(body, rng))
        statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
    assert statuses == {401: MUTATIONS}
    assert await stage.database.read(count) == before
    # The unspoilt one is accepted: it was the spoiling that was refused.
    assert (await stage.post(body, signed_headers(body))).status_code == 202


async def test_a_copy_of_a_delivery_is_answered_200_and_has_no_second_effect(stage: Stage) -> None:
    event = stage.fake.open_pull_request(REPOSITORY, number=4)
    guid = str(uuid.uuid4())
    assert (await stage.deliver(event, guid=guid)).status_code == 202
    for _ in range(3):
        assert (await stage.deliver(event, guid=guid.upper())).status_code == 200
    assert await stage.work() == 1
    before = await stage.database.read(count)
    assert (await stage.deliver(event, guid=guid)).status_code == 200
    assert await stage.work() == 0
    assert await stage.database.read(count) == before


async def test_events_that_are_nothing_to_us_leave_no_row(stage: Stage) -> None:
    before = await stage.database.read(count)
    event = stage.fake.open_pull_request(REPOSITORY)
    body = json.dumps(event.payload | {"action": "labeled"}).encode()
    assert (await stage.post(body, signed_headers(body))).status_code == 202
    for name, status in (("push", 202), ("ping", 200), ("check_run", 202)):
        assert (await stage.post(b"{}", signed_headers(b"{}", event=name))).status_code == status
    assert await stage.database.read(count) == before


@pytest.mark.parametrize(
    "change",
    [
        {"number": "4"},
        {"number": True},
        {"number": 0},
        {"number": 2**31},
        {"installation": None},
        {"installation": {"id": -1}},
        {"repository": {"id": 1, "full_name": "a/b/c", "owner": {"login": "a"}}},
        {"pull_request": []},
        {"action": 7},
    ],
)
async def test_signed_but_malformed_is_422_and_leaves_no_row(stage: Stage, change: dict[str, object]) -> None:
    before = await stage.database.read(count)
    body = json.dumps(stage.fake.open_pull_request(REPOSITORY).payload | change).encode()
    assert (await stage.post(body, signed_headers(body))).status_code == 422
    for text in (b"", b"[]", b"{", b'"x"', b"[" * 100_000):
        assert (await stage.post(text, signed_headers(text))).status_code == 422
    assert await stage.database.read(count) == before


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("content-type", "application/x-www-form-urlencoded", 415),
        ("x-github-delivery", "not-a-guid", 400),
        ("x-github-event", "", 400),
    ],
)
async def test_headers_are_looked_at_after_the_signature(stage: Stage, name: str, value: str, status: int) -> None:
    body = json.dumps(stage.fake.open_pull_request(REPOSITORY).payload).encode()
    headers = [(key, value if key == name else old) for key, old in signed_headers(body)]
    assert (await stage.post(body, headers)).status_code == status
    unsigned = [(key, old) for key, old in headers if key != "x-hub-signature-256"]
    assert (await stage.post(body, unsigned)).status_code == 401


async def test_too_large_is_413_and_a_store_that_is_down_503(stage: Stage) -> None:
    body = b" " * (1024 * 1024 + 1)
    assert (await stage.post(body, signed_headers(body))).status_code == 413
    event = stage.fake.open_pull_request(REPOSITORY)
    stage.database.write_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE deliveries RENAME TO away"))
    assert (await stage.deliver(event)).status_code == 503
    stage.database.write_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE away RENAME TO deliveries"))
    assert (await stage.deliver(event)).status_code == 202


async def test_without_the_app_there_is_nothing_at_the_path_and_it_is_not_in_the_document(stage: Stage) -> None:
    transport = httpx2.ASGITransport(make_api(services_of(stage.database)))
    async with httpx2.AsyncClient(transport=transport, base_url="https://api.localhost") as client:
        assert (await client.post("/github/webhook", content=b"{}")).status_code == 404
    document = (await stage.http.get("https://api.localhost/api/v2/openapi.json")).json()
    assert "/github/webhook" not in document["paths"]
    assert (await stage.http.get("https://api.localhost/github/webhook")).status_code == 405
