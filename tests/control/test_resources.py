from tests.control.api import Api, FakeStatus

ORG = "/orgs/acme"


async def test_a_cluster_is_put_twice_listed_and_deleted(api: Api) -> None:
    first = await api.call("PUT", f"{ORG}/clusters/c1", {})
    again = await api.call("PUT", f"{ORG}/clusters/c1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["status"] == {
        "online": False,
        "tunnels": 0,
        "since": None,
        "agentVersions": [],
        "kubernetesVersions": [],
        "capabilities": [],
    }
    assert await api.done("GET", f"{ORG}/clusters") == {"items": [first.json()], "nextCursor": None}
    assert (await api.call("DELETE", f"{ORG}/clusters/c1")).status_code == 204
    assert (await api.call("GET", f"{ORG}/clusters/c1")).status_code == 404
    assert (await api.call("DELETE", f"{ORG}/clusters/c1")).status_code == 404


async def test_a_cluster_shows_its_tunnels(api: Api) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    api.statuses[await api.cluster_id("c1")] = FakeStatus(
        online=True,
        tunnels=2,
        since=1_700_000_000.5,
        agent_versions=("0.2", "0.1"),
        capabilities=("pod-logs", "kubernetes"),
        kubernetes_versions=("v1.33.1", "v1.32.5"),
    )
    status = (await api.done("GET", f"{ORG}/clusters/c1"))["status"]
    assert status == {
        "online": True,
        "tunnels": 2,
        "since": "2023-11-14T22:13:20.500Z",
        "agentVersions": ["0.1", "0.2"],
        "kubernetesVersions": ["v1.32.5", "v1.33.1"],
        "capabilities": ["kubernetes", "pod-logs"],
    }


async def test_a_cluster_with_workspaces_is_not_deleted(api: Api) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    await api.done("PUT", f"{ORG}/workspaces/w1", {"spec": {"cluster": "c1"}})
    answer = await api.call("DELETE", f"{ORG}/clusters/c1")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_a_token_is_shown_once_and_its_revocation_is_told_at_once(api: Api) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    answer = await api.call("POST", f"{ORG}/clusters/c1/tokens", {"description": "helm"})
    token = answer.json()
    assert answer.status_code == 201
    assert token["token"].startswith("sdt_")
    listed = await api.done("GET", f"{ORG}/clusters/c1/tokens")
    assert listed["items"] == [{key: value for key, value in token.items() if key != "token"}]
    assert (token["description"], token["lastFour"]) == ("helm", token["token"][-4:])
    path = f"{ORG}/clusters/c1/tokens/{token['id']}"
    assert (await api.call("DELETE", path)).status_code == 204
    assert api.revoked == [token["id"]]
    assert (await api.call("DELETE", path)).status_code == 404
    assert api.revoked == [token["id"]]


async def test_the_end_of_a_cluster_is_told_for_all_its_tokens(api: Api) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    ids = {(await api.done("POST", f"{ORG}/clusters/c1/tokens"))["id"] for _ in range(3)}
    await api.done("DELETE", f"{ORG}/clusters/c1")
    assert set(api.revoked) == ids


async def test_a_token_of_an_unknown_cluster_is_not_found(api: Api) -> None:
    answer = await api.call("POST", f"{ORG}/clusters/nope/tokens", {})
    assert answer.status_code == 404
    assert "'nope'" in answer.json()["error"]


async def test_an_api_key_is_shown_once_works_at_once_and_ends_at_once(api: Api) -> None:
    made = await api.done("POST", f"{ORG}/api-keys", {"name": "ci", "role": "member"})
    assert made["lastFour"] == made["key"][-4:]
    assert (await api.done("GET", "/orgs", key=made["key"]))["items"] == [{"name": "acme", "role": "member"}]
    listed = (await api.done("GET", f"{ORG}/api-keys"))["items"]
    assert {item["name"] for item in listed} == {"admin", "ci"}
    assert all("key" not in item for item in listed)
    path = f"{ORG}/api-keys/{made['id']}"
    assert (await api.done("GET", path))["name"] == "ci"
    assert (await api.call("DELETE", path)).status_code == 204
    assert (await api.call("GET", "/orgs", key=made["key"])).status_code == 401
    assert (await api.call("GET", path)).status_code == 404


async def test_the_last_admin_key_stays(api: Api) -> None:
    key_id = (await api.done("GET", f"{ORG}/api-keys"))["items"][0]["id"]
    answer = await api.call("DELETE", f"{ORG}/api-keys/{key_id}")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


async def test_each_change_leaves_an_event_with_the_credential_and_reads_leave_none(api: Api) -> None:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    token = await api.done("POST", f"{ORG}/clusters/c1/tokens", {})
    await api.done("PUT", f"{ORG}/workspaces/w1", {"spec": {"cluster": "c1"}})
    await api.done("PUT", f"{ORG}/workspaces/w1", {"spec": {"cluster": "c1"}})
    member = await api.done("POST", f"{ORG}/api-keys", {"name": "ci"})
    await api.done("DELETE", f"{ORG}/workspaces/w1", key=member["key"])
    await api.done("DELETE", f"{ORG}/api-keys/{member['id']}")
    await api.done("DELETE", f"{ORG}/clusters/c1/tokens/{token['id']}")
    await api.done("DELETE", f"{ORG}/clusters/c1")
    events = (await api.done("GET", f"{ORG}/events"))["items"]
    mine = [event for event in reversed(events) if event["credential"]["kind"] == "api_key"]
    said = [(event["action"], event["object"]["kind"], event["object"]["name"]) for event in mine]
    assert said == [
        ("create", "cluster", "c1"),
        ("create", "cluster_token", "c1"),
        ("create", "workspace", "w1"),
        ("update", "workspace", "w1"),
        ("create", "api_key", "ci"),
        ("delete", "workspace", "w1"),
        ("delete", "api_key", "ci"),
        ("delete", "cluster_token", "c1"),
        ("delete", "cluster", "c1"),
    ]
    shown = [event["credential"]["lastFour"] for event in mine]
    admin = api.key[-4:]
    assert shown == [admin] * 5 + [member["key"][-4:]] + [admin] * 3
    assert all(event["at"].endswith("Z") for event in events)
