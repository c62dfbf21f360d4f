"""Preview hostnames: printing and parsing are inverse, and what is no preview says why."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relay.errors import InvalidError, NotFoundError
from relay.routing import PreviewHost, parse_preview_host, print_preview_host, require_label, require_name, valid_name

DOMAIN = "preview.localhost"
NAMES = st.from_regex(r"[a-z](-?[a-z0-9]){0,12}", fullmatch=True).filter(valid_name)


@given(NAMES, NAMES, st.none() | NAMES)
def test_parsing_a_printed_host_gives_it_back(endpoint: str, workspace: str, org: str | None) -> None:
    preview = PreviewHost(endpoint=endpoint, workspace=workspace, org=org)
    assume(len(print_preview_host(preview, "")) <= 64)
    assert parse_preview_host(print_preview_host(preview, DOMAIN), DOMAIN) == preview


@given(st.text(alphabet="abx019-.", max_size=70))
def test_printing_a_parsed_host_gives_it_back(label: str) -> None:
    host = f"{label}.{DOMAIN}"
    try:
        preview = parse_preview_host(host, DOMAIN)
    except NotFoundError:
        return
    assert print_preview_host(preview, DOMAIN) == host


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("preview.localhost", "not below"),
        ("web--pr-42.preview.localhost.evil.example", "not below"),
        ("web--pr-42xpreview.localhost", "not below"),
        ("a.web--pr-42.preview.localhost", "more than one label"),
        ("web.preview.localhost", "not of the form"),
        ("web--pr-42--acme--x.preview.localhost", "not of the form"),
        ("web---pr-42.preview.localhost", "not of the form"),
        ("web----pr.preview.localhost", "not of the form"),
        ("--pr-42.preview.localhost", "not of the form"),
        ("WEB--pr-42.preview.localhost", "not of the form"),
        (f"{'a' * 30}--{'b' * 30}--cd.preview.localhost", "not of the form"),
        ("web--pr_42.preview.localhost", "not of the form"),
        ("web--42.preview.localhost", "not of the form"),
    ],
)
def test_a_host_that_is_no_preview_says_why(host: str, why: str) -> None:
    with pytest.raises(NotFoundError, match=why):
        parse_preview_host(host, DOMAIN)


@pytest.mark.parametrize("name", ["", "-a", "a-", "1a", "A", "a--b", "a_b", "a.b", "ä", "a" * 31, "a\n"])
def test_names_outside_the_grammar_are_refused(name: str) -> None:
    with pytest.raises(InvalidError, match=r"^workspace: "):
        require_name(name, field="workspace")


@pytest.mark.parametrize("name", ["a", "a1", "a-b", "pr-42", "a" * 30])
def test_names_inside_the_grammar_pass(name: str) -> None:
    assert require_name(name, field="workspace") == name


def test_an_endpoint_whose_longest_hostname_has_63_characters_fits() -> None:
    require_label("e" * 10, "w" * 30, "o" * 19, field="endpoint")
    with pytest.raises(InvalidError, match="64 characters"):
        require_label("e" * 10, "w" * 30, "o" * 20, field="endpoint")


def test_an_endpoint_cannot_make_a_punycode_label() -> None:
    with pytest.raises(InvalidError, match="punycode"):
        require_label("xn", "pr-42", "acme", field="endpoint")
