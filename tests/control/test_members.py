import pytest

from relay.auth import Role
from relay.store import Actor, clusters
from tests.control.api import Api, add_member

ORG = "/orgs/acme"


async def test_members_are_listed_with_who_vouches_for_them(api: Api) -> None:
    await add_member(api, "ada")
    await add_member(api, "Grace", role=Role.ADMIN, source="local")
    items = (await api.done("GET", f"{ORG}/members"))["items"]
    shown = [(item["login"], item["role"], item["provider"], item["active"]) for item in items]
    assert shown == [("ada", "member", "github", True), ("Grace", "admin", "local", True)]
    assert await api.done("GET", f"{ORG}/members/grace") == items[1]
    assert items[0]["checkedAt"].endswith("Z")


async def test_a_role_is_changed_and_the_event_names_the_member(api: Api) -> None:
    await add_member(api, "ada")
    changed = await api.done("PUT", f"{ORG}/members/ada", {"role": "admin"})
    assert changed["role"] == "admin"
    assert await api.done("GET", f"{ORG}/members/ada") == changed
    event = (await api.done("GET", f"{ORG}/events?limit=1"))["items"][0]
    assert (event["action"], event["object"]["kind"], event["object"]["name"]) == ("update", "member", "ada")
    assert event["credential"]["lastFour"] == api.key[-4:]


async def test_who_is_removed_is_gone_and_nobody_else(api: Api) -> None:
    await add_member(api, "ada")
    await add_member(api, "grace")
    assert (await api.call("DELETE", f"{ORG}/members/ada")).status_code == 204
    assert [item["login"] for item in (await api.done("GET", f"{ORG}/members"))["items"]] == ["grace"]


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"role": "admin"}), ("DELETE", None)])
async def test_who_is_no_member_is_not_found_and_not_made_one(api: Api, method: str, body: dict[str, str]) -> None:
    answer = await api.call(method, f"{ORG}/members/ada", body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "'ada'" in answer.json()["error"]


async def test_a_role_that_does_not_exist_is_refused(api: Api) -> None:
    await add_member(api, "ada")
    answer = await api.call("PUT", f"{ORG}/members/ada", {"role": "owner"})
    assert (answer.status_code, answer.json()["problems"][0]["path"]) == (422, "role")


async def test_what_somebody_who_signed_in_did_is_shown_with_their_name(api: Api) -> None:
    await add_member(api, "ada")
    org_id = (await api.principal_org()).org_id
    actor = Actor(kind="login", id="0" * 32, name="ada")
    await api.database.write(clusters.put, org_id, "c9", actor=actor)
    event = (await api.done("GET", f"{ORG}/events?limit=1"))["items"][0]
    assert event["credential"] == {"kind": "login", "id": "0" * 32, "lastFour": "", "name": "ada"}
