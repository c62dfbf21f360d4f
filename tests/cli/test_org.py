import json
from pathlib import Path

import yaml

from relay.store import Lookups, members, users
from tests.cli.server import Server

TEMPLATE = """
repository: acme/shop
spec:
  cluster: c1
  images: [{name: acme/web, newTag: "@{headCommit}"}]
  endpoints: [{name: web, target: "http://web.shop.svc:8080"}]
"""


async def add_member(server: Server, login: str) -> None:
    services = server.app.state.services
    assert isinstance(services.lookups, Lookups)
    org_id = (await services.lookups.principal(server.key)).memberships[0].org_id
    user = await services.database.write(users.put, provider="github", subject=login, login=login)
    await services.database.write(members.put, org_id, user.id, source="github")


async def test_a_template_is_applied_with_its_placeholders_shown_and_deleted(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "template.yaml"
    file.write_text(TEMPLATE)
    table = (await server.done("template", "apply", "-f", str(file))).splitlines()
    assert table[1].split()[:3] == ["acme/shop", "c1", "web"]
    got = yaml.safe_load(await server.done("template", "get", "acme/shop"))
    assert {key: got[key] for key in ("repository", "spec")} == yaml.safe_load(TEMPLATE)
    assert (await server.done("template", "list")).splitlines() == table
    assert await server.done("template", "delete", "acme/shop") == "the template of acme/shop is deleted\n"
    assert "no template" in await server.done("template", "delete", "acme/shop", "--if-exists")
    await server.failed(1, "template", "delete", "acme/shop")


async def test_a_template_file_that_cannot_be_used_is_one_line(server: Server) -> None:
    said = await server.failed(2, "template", "apply", "-f", "-", stdin="name: w\nspec: {cluster: c1}")
    assert said == "signadot: -: `repository` must be text\n"
    said = await server.failed(2, "template", "get", "shop")
    assert said == "signadot: repository: 'shop' must be OWNER/REPO\n"
    said = await server.failed(1, "template", "apply", "-f", "-", stdin=TEMPLATE.replace("headCommit", "nope"))
    assert said.startswith("signadot: spec.images.0.newTag: '@{nope}' is no placeholder")
    assert said.count("\n") == 1


async def test_members_are_listed_given_a_role_and_removed(server: Server) -> None:
    await add_member(server, "ada")
    assert (await server.done("member", "list")).splitlines()[1].split()[:4] == ["ada", "member", "github", "yes"]
    changed = json.loads(await server.done("member", "set-role", "ada", "admin", "-o", "json"))
    assert changed == json.loads(await server.done("member", "get", "ada", "-o", "json"))
    assert changed["role"] == "admin"
    await server.failed(2, "member", "set-role", "ada", "owner")
    assert await server.done("member", "remove", "ada") == "ada is no longer a member\n"
    assert "'ada'" in await server.failed(1, "member", "get", "ada")
