import pytest

from relay.errors import BadRequestError
from relay.routing import ReturnUrl, parse_return_url
from tests.support.return_spellings import hostile_spellings, refused_spellings
from tests.support.url_judge import destination

DOMAIN, APP, PORT = "preview.localhost", "app.localhost", 8443
ORIGIN = f"https://{APP}:{PORT}"


def parse(text: str, *, port: int = PORT) -> ReturnUrl:
    return parse_return_url(text, preview_domain=DOMAIN, app_host=APP, port=port)


@pytest.mark.parametrize("path", ["/", "/a/b?c=d&e=//f", "/?", "/a//b", "/%2f%2f", "/a[]=1|{}^`'~*", "/.well-known/"])
def test_a_url_of_a_preview_comes_back_as_it_was(path: str) -> None:
    for host in (f"web--shop.{DOMAIN}", f"web--shop-42--acme.{DOMAIN}"):
        place = parse(f"https://{host}:{PORT}{path}")
        assert (place.host, place.is_preview, place.target) == (host, True, path)
        assert place.url == f"https://{host}:{PORT}{path}"
        assert place.at_root().url == f"https://{host}:{PORT}/"


@pytest.mark.parametrize("path", ["/", "/orgs/acme/workspaces/shop", "/?a=https://b/"])
def test_a_path_is_one_of_the_app_host(path: str) -> None:
    place = parse(path)
    assert (place.host, place.is_preview, place.url) == (APP, False, ORIGIN + path)


def test_port_443_is_not_written() -> None:
    assert parse(f"https://web--shop.{DOMAIN}/x", port=443).url == f"https://web--shop.{DOMAIN}/x"
    with pytest.raises(BadRequestError):
        parse(f"https://web--shop.{DOMAIN}:443/x", port=443)


@pytest.mark.parametrize("text", refused_spellings(domain=DOMAIN, port=PORT), ids=ascii)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse(text)
    assert refused.value.reason == "return_url"


def test_no_spelling_leads_away() -> None:
    spellings = list(hostile_spellings(domain=DOMAIN, port=PORT))
    assert len(spellings) >= 600
    followed = 0
    for text in spellings:
        try:
            url = parse(text).url
        except BadRequestError:
            continue
        followed += 1
        assert destination(url, base=ORIGIN) == ("https", APP, PORT), text
        # Whoever takes only the path of it for a Location is safe as well.
        assert destination(parse(text).target, base=ORIGIN) == ("https", APP, PORT), text
    assert followed < len(spellings) / 10


def test_what_is_too_long_is_refused() -> None:
    with pytest.raises(BadRequestError):
        parse("/" + "a" * 4096)


def test_the_judge_sees_through_tricks() -> None:
    for text in (
        "/\\evil.example",
        "//evil.example",
        "https:evil.example",
        "\thttps:\\\\a@evil.example:8443/",
        "/\t/evil.example",
    ):
        assert destination(text, base=ORIGIN)[1] == "evil.example", text
    assert destination("/x", base=ORIGIN) == ("https", APP, PORT)
