import httpx2
import pytest

from relay.auth import TokenKind, mint
from relay.control.rates import FAILURES_PER_MINUTE
from tests.control.api import REQUESTS_PER_MINUTE, Api

ORG = "/orgs/acme"


def rate(answer: httpx2.Response) -> tuple[int, ...]:
    return tuple(int(answer.headers[f"ratelimit-{name}"]) for name in ("limit", "remaining", "reset"))


async def test_answers_say_how_many_requests_are_left(api: Api) -> None:
    assert rate(await api.call("GET", "/orgs")) == (600, 599, 1)
    refusals = [
        await api.call("GET", path) for path in (f"{ORG}/clusters/c", "/orgs/globex", f"{ORG}/clusters?limit=x")
    ]
    assert [answer.status_code for answer in refusals] == [404, 403, 422]
    assert [rate(answer)[1] for answer in refusals] == [598, 597, 596]
    api.clock.now += 0.2
    assert rate(await api.call("GET", "/orgs")) == (600, 597, 1)
    assert "ratelimit-limit" not in (await api.call("GET", "/orgs", key="x")).headers


async def test_a_credential_that_asks_too_often_waits_and_others_do_not(api: Api) -> None:
    for _ in range(REQUESTS_PER_MINUTE):
        await api.done("GET", "/orgs")
    refused = await api.call("PUT", f"{ORG}/clusters/c1", {})
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert refused.headers["retry-after"] == "1"
    assert rate(refused) == (600, 0, 60)
    await api.done("GET", "/orgs", key=api.other)
    api.clock.now += int(refused.headers["retry-after"])
    assert (await api.call("GET", f"{ORG}/clusters/c1")).status_code == 404  # what was refused was not done


async def test_an_address_that_guesses_is_stopped_and_keys_in_use_go_on(api: Api) -> None:
    fresh = (await api.done("POST", f"{ORG}/api-keys", {"name": "ci"}))["key"]
    for _ in range(FAILURES_PER_MINUTE):
        assert (await api.call("GET", "/orgs", key=mint(TokenKind.API_KEY))).status_code == 401
    for key in (mint(TokenKind.API_KEY), "nonsense", "", fresh):
        refused = await api.call("GET", "/orgs", key=key)
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert refused.headers["retry-after"] == "1"
    await api.done("GET", "/orgs")
    api.clock.now += 1
    await api.done("GET", "/orgs", key=fresh)


async def test_a_key_that_was_good_goes_on_beside_a_guesser_though_its_time_in_memory_is_over(api: Api) -> None:
    await api.done("GET", "/orgs")
    for _ in range(FAILURES_PER_MINUTE):
        await api.call("GET", "/orgs", key="nonsense")
    api.lookups._principals.expire(api.lookups._key(api.key))
    assert api.lookups.principal_nowait(api.key) is None
    await api.done("GET", "/orgs")
    api.lookups._principals.forget(api.lookups._key(api.key))  # as when it is revoked
    assert (await api.call("GET", "/orgs")).status_code == 429


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
async def test_addresses_are_counted_apart_and_a_subnet_of_ipv6_as_one(
    *, api: Api, first: str, second: str, same: bool
) -> None:
    async def attempt(address: str) -> int:
        app = api.client._transport.app  # type: ignore[attr-defined]
        transport = httpx2.ASGITransport(app, client=(address, 1))
        async with httpx2.AsyncClient(transport=transport, base_url="https://api.localhost/api/v2") as client:
            return (await client.get("/orgs")).status_code

    for _ in range(FAILURES_PER_MINUTE):
        assert await attempt(first) == 401
    assert await attempt(first) == 429
    assert await attempt(second) == (429 if same else 401)
