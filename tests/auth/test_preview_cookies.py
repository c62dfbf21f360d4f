"""Preview cookies: good for one host, one time and the keys at hand, and for nothing else."""

import base64

import pytest

from relay.auth import PreviewCookies, PreviewNote, Unreadable

HOST = "web--shop.preview.test"
LOGIN = "0123456789abcdef" * 2
NOW = 1_700_000_000.0
OLD, NEW = ("01020304", bytes(32)), ("a1a2a3a4", bytes(range(32)))


def test_a_cookie_says_whose_login_it_is_and_until_when() -> None:
    cookies = PreviewCookies([OLD])
    value = cookies.mint(LOGIN, host=HOST, now=NOW, seconds=600).encode()
    note = PreviewNote(login_id=LOGIN, issued_at=NOW, expires_at=NOW + 600)
    assert cookies.read(value, host=HOST, now=NOW + 599) == note
    assert cookies.read(value, host=HOST, now=NOW + 600) is Unreadable.INVALID


def test_no_cookie_is_good_for_more_than_an_hour() -> None:
    cookies = PreviewCookies([OLD])
    value = cookies.mint(LOGIN, host=HOST, now=NOW, seconds=1e6).encode()
    assert isinstance(cookies.read(value, host=HOST, now=NOW + 3599), PreviewNote)
    assert cookies.read(value, host=HOST, now=NOW + 3600) is Unreadable.INVALID


@pytest.mark.parametrize(
    "host", ["api--shop.preview.test", "web--shop.preview.test.", "web--shop", "", "web--shop--acme.preview.test"]
)
def test_a_cookie_is_worth_nothing_on_another_host(host: str) -> None:
    cookies = PreviewCookies([OLD])
    value = cookies.mint(LOGIN, host=HOST, now=NOW, seconds=600).encode()
    assert cookies.read(value, host=host, now=NOW) is Unreadable.INVALID


def test_a_cookie_with_any_bit_changed_is_worth_nothing() -> None:
    cookies = PreviewCookies([OLD])
    blob = base64.urlsafe_b64decode(cookies.mint(LOGIN, host=HOST, now=NOW, seconds=600))
    for position in range(len(blob) * 8):
        damaged = bytearray(blob)
        damaged[position // 8] ^= 1 << position % 8
        found = cookies.read(base64.urlsafe_b64encode(damaged), host=HOST, now=NOW)
        assert isinstance(found, Unreadable), position


@pytest.mark.parametrize("value", [b"", b"x", b"=" * 88, b"\xff" * 88, b"A" * 87, b"A" * 88, b"A" * 89, b"+/" * 44])
def test_what_is_no_cookie_is_worth_nothing(value: bytes) -> None:
    assert PreviewCookies([OLD]).read(value, host=HOST, now=NOW) is Unreadable.INVALID


def test_a_cookie_has_exactly_one_text() -> None:
    cookies = PreviewCookies([OLD])
    value = cookies.mint(LOGIN, host=HOST, now=NOW, seconds=600).encode()
    for other in (value + b"=", b" " + value, value + b"\n", b'"' + value + b'"'):
        assert cookies.read(other, host=HOST, now=NOW) is Unreadable.INVALID


def test_a_new_key_leaves_cookies_of_the_earlier_one_good_while_that_is_at_hand() -> None:
    value = PreviewCookies([OLD]).mint(LOGIN, host=HOST, now=NOW, seconds=600).encode()
    assert isinstance(PreviewCookies([NEW, OLD]).read(value, host=HOST, now=NOW), PreviewNote)
    assert PreviewCookies([NEW]).read(value, host=HOST, now=NOW) is Unreadable.UNKNOWN_KEY
    fresh = PreviewCookies([NEW, OLD]).mint(LOGIN, host=HOST, now=NOW, seconds=600).encode()
    assert isinstance(PreviewCookies([NEW]).read(fresh, host=HOST, now=NOW), PreviewNote)


def test_a_cookie_under_another_key_of_the_same_id_is_worth_nothing() -> None:
    value = PreviewCookies([(OLD[0], bytes(range(32)))]).mint(LOGIN, host=HOST, now=NOW, seconds=600).encode()
    assert PreviewCookies([OLD]).read(value, host=HOST, now=NOW) is Unreadable.INVALID
