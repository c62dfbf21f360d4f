from base64 import urlsafe_b64encode
from typing import Any

import pytest

from tests.control.api import Api, add_member

ORG = "/orgs/acme"
LISTS = ["clusters", "workspaces", "clusters/c0/tokens", "api-keys", "events", "members", "templates"]


@pytest.fixture
async def filled(api: Api) -> Api:
    for number in range(5):
        await api.done("PUT", f"{ORG}/clusters/c{number}", {})
        await api.done("PUT", f"{ORG}/workspaces/w{number}", {"spec": {"cluster": "c0"}})
        await api.done("POST", f"{ORG}/clusters/c0/tokens", {})
        await api.done("POST", f"{ORG}/api-keys", {"name": f"k{number}"})
        await api.done("PUT", f"{ORG}/templates/acme/r{number}", {"spec": {"cluster": "c0"}})
        await add_member(api, f"user{number}")
    return api


async def pages(api: Api, path: str) -> list[Any]:
    """Every page, found by the links alone."""
    found = []
    while True:
        answer = await api.call("GET", path)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        link = answer.headers.get("link")
        if link is None:
            return found
        target, _, relation = link.partition(">; ")
        assert relation == 'rel="next"'
        assert f"cursor={found[-1]['nextCursor']}" in target
        path = target.removeprefix("</api/v2")


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_together_are_the_list_each_item_once_and_in_order(filled: Api, name: str, limit: int) -> None:
    whole = await filled.done("GET", f"{ORG}/{name}?limit=1000")
    assert whole["nextCursor"] is None
    found = await pages(filled, f"{ORG}/{name}?limit={limit}")
    assert [item for page in found for item in page["items"]] == whole["items"]
    assert all(len(page["items"]) == limit for page in found[:-1])
    assert 0 < len(found[-1]["items"]) <= limit
    assert found[-1]["nextCursor"] is None


async def test_without_a_limit_a_page_has_100_items(api: Api) -> None:
    for number in range(101):
        await api.done("PUT", f"{ORG}/clusters/c{number}", {})
    page = await api.done("GET", f"{ORG}/clusters")
    assert len(page["items"]) == 100
    assert len((await api.done("GET", f"{ORG}/clusters?cursor={page['nextCursor']}"))["items"]) == 1


async def test_what_is_made_while_somebody_pages_moves_nothing(filled: Api) -> None:
    first = await filled.done("GET", f"{ORG}/events?limit=4")
    await filled.done("PUT", f"{ORG}/clusters/late", {})
    second = await filled.done("GET", f"{ORG}/events?limit=4&cursor={first['nextCursor']}")
    whole = await filled.done("GET", f"{ORG}/events")
    assert first["items"] + second["items"] == whole["items"][1:9]


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "äö", "a b", "%00", "\x00", "=" * 9, "A" * 22 + "!", "A" * 4000),
        urlsafe_b64encode(b"not an id").decode(),
        urlsafe_b64encode(b"\x01" * 16).decode(),  # with its padding: not as it was given out
    ],
)
@pytest.mark.parametrize("name", LISTS)
async def test_a_cursor_that_was_not_given_out_is_refused(filled: Api, name: str, cursor: str) -> None:
    answer = await filled.client.get(
        f"{ORG}/{name}", params={"cursor": cursor}, headers={"signadot-api-key": filled.key}
    )
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "cursor")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", "9" * 5000, "true", "%00"])
async def test_a_limit_out_of_its_range_is_refused(api: Api, limit: str) -> None:
    answer = await api.call("GET", f"{ORG}/clusters?limit={limit}")
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "limit")
