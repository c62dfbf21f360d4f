import pytest

from relay.control.conditions import Conditions, parse_tags
from relay.errors import BadRequestError, PreconditionFailedError
from tests.control.api import Api

ORG = "/orgs/acme"
PATH = f"{ORG}/workspaces/w1"
BODY = {"spec": {"cluster": "c1"}}
CHANGED = {"spec": {"cluster": "c1", "description": "changed"}}


@pytest.fixture
async def prepared(api: Api) -> Api:
    await api.done("PUT", f"{ORG}/clusters/c1", {})
    return api


@pytest.mark.parametrize(
    ("lines", "tags"),
    [
        ([], None),
        (["*"], ("*",)),
        ([' "a" '], ('"a"',)),
        (['"a", W/"b"', '"c,d"'], ('"a"', 'W/"b"', '"c,d"')),
        ([', "a",,"b" ,'], ('"a"', '"b"')),
        (['""'], ('""',)),
    ],
)
def test_tags_are_read_as_rfc_9110_has_them(lines: list[str], tags: tuple[str, ...] | None) -> None:
    assert parse_tags("If-Match", lines) == tags


@pytest.mark.parametrize("line", ["", ",", "a", '"a', '"a" "b"', '*, "a"', 'w/"a"', '"a b"', 'W/ "a"', '"a"x'])
def test_what_is_no_list_of_tags_is_refused(line: str) -> None:
    with pytest.raises(BadRequestError):
        parse_tags("If-Match", [line])


@pytest.mark.parametrize(
    ("match", "none_match", "etag", "holds"),
    [
        (None, None, None, True),
        (('"a"',), None, '"a"', True),
        (('"b"', '"a"'), None, '"a"', True),
        (('W/"a"',), None, '"a"', False),
        (('"b"',), None, '"a"', False),
        (("*",), None, '"a"', True),
        (("*",), None, None, False),
        (('"a"',), None, None, False),
        (None, ("*",), '"a"', False),
        (None, ("*",), None, True),
        (None, ('W/"a"',), '"a"', False),
        (None, ('"b"',), '"a"', True),
        (('"a"',), ('"a"',), '"a"', False),
    ],
)
def test_if_match_compares_strongly_and_if_none_match_weakly(
    *, match: tuple[str, ...] | None, none_match: tuple[str, ...] | None, etag: str | None, holds: bool
) -> None:
    conditions = Conditions(if_match=match, if_none_match=none_match)
    if holds:
        conditions.require(etag)
    else:
        with pytest.raises(PreconditionFailedError):
            conditions.require(etag)


async def test_what_is_put_again_unchanged_keeps_its_tag(prepared: Api) -> None:
    first = (await prepared.call("PUT", PATH, BODY)).headers["etag"]
    assert (await prepared.call("PUT", PATH, BODY)).headers["etag"] == first


async def test_a_workspace_made_anew_has_another_tag(prepared: Api) -> None:
    first = (await prepared.call("PUT", PATH, BODY)).headers["etag"]
    await prepared.done("DELETE", PATH)
    assert (await prepared.call("PUT", PATH, BODY)).headers["etag"] != first


async def test_if_none_match_star_makes_and_never_overwrites(prepared: Api) -> None:
    assert (await prepared.call("PUT", PATH, BODY, if_none_match="*")).status_code == 201
    again = await prepared.call("PUT", PATH, CHANGED, if_none_match="*")
    assert (again.status_code, again.json()["code"]) == (412, "precondition_failed")
    assert (await prepared.done("GET", PATH))["spec"]["description"] == ""


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_if_match_on_what_is_not_there_fails(prepared: Api, method: str) -> None:
    answer = await prepared.call(method, PATH, BODY if method == "PUT" else None, if_match="*")
    assert answer.status_code == 412
    assert (await prepared.call("GET", PATH)).status_code == 404


async def test_a_condition_that_cannot_be_read_is_not_passed_over(prepared: Api) -> None:
    await prepared.done("PUT", PATH, BODY)
    answer = await prepared.call("DELETE", PATH, if_match="5f0c-1")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    await prepared.done("GET", PATH)


async def test_a_workspace_is_changed_only_by_whoever_saw_its_last_state(prepared: Api) -> None:
    made = await prepared.call("PUT", PATH, BODY)
    first = made.headers["etag"]
    assert (await prepared.call("GET", PATH)).headers["etag"] == first
    changed = await prepared.call("PUT", PATH, CHANGED, if_match=first)
    assert changed.status_code == 200
    second = changed.headers["etag"]
    assert second != first
    late = await prepared.call("PUT", PATH, BODY, if_match=first)
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert second in late.json()["error"]
    assert (await prepared.done("GET", PATH))["spec"]["description"] == "changed"
    assert (await prepared.call("DELETE", PATH, if_match=first)).status_code == 412
    assert (await prepared.call("DELETE", PATH, if_match=f'"x", {second}')).status_code == 204
