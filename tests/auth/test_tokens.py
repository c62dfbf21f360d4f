"""Tokens: minted, recognised, and refused without a look-up when they are mistyped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.auth import TokenKind, keyed_hash, mint, parse
from relay.auth.tokens import ALPHABET
from relay.errors import UnauthenticatedError


@pytest.mark.parametrize("kind", list(TokenKind))
def test_a_minted_token_has_the_fixed_form_and_parses(kind: TokenKind) -> None:
    text = mint(kind)
    assert len(text) == 4 + 30 + 6
    assert text.startswith(kind.value)
    token = parse(text, kind=kind)
    assert (token.kind, token.text, token.last_four) == (kind, text, text[-4:])


def test_tokens_do_not_repeat() -> None:
    assert len({mint(TokenKind.API_KEY) for _ in range(1000)}) == 1000


@given(st.integers(4, 39), st.sampled_from(ALPHABET))
def test_any_one_changed_character_is_noticed(position: int, character: str) -> None:
    text = mint(TokenKind.API_KEY)
    changed = text[:position] + character + text[position + 1 :]
    if changed == text:
        parse(changed)
    else:
        with pytest.raises(UnauthenticatedError, match="checksum"):
            parse(changed)


@given(st.integers(4, 38))
def test_two_swapped_neighbours_are_noticed(position: int) -> None:
    text = mint(TokenKind.CLUSTER_TOKEN)
    swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
    if swapped != text:
        with pytest.raises(UnauthenticatedError, match="checksum"):
            parse(swapped)


def test_a_changed_prefix_does_not_make_another_kind() -> None:
    with pytest.raises(UnauthenticatedError, match="checksum"):
        parse("sdt_" + mint(TokenKind.API_KEY)[4:])


def test_a_token_of_another_kind_is_named() -> None:
    with pytest.raises(UnauthenticatedError, match="is an API key, where a cluster token is needed"):
        parse(mint(TokenKind.API_KEY), kind=TokenKind.CLUSTER_TOKEN)


@pytest.mark.parametrize("text", ["", "sdk_", "sdx_" + "a" * 36, "x" * 40, "sdk_" + "a" * 35, "sdk_" + "\u00e9" * 36])
def test_malformed_text_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        parse(text)
    assert not text or text not in str(caught.value)


def test_white_space_around_a_token_is_not_accepted() -> None:
    text = mint(TokenKind.API_KEY)
    for padded in (text + "\n", " " + text, text + " "):
        with pytest.raises(UnauthenticatedError):
            parse(padded)


def test_the_secret_is_not_shown() -> None:
    text = mint(TokenKind.API_KEY)
    assert text[4:] not in repr(parse(text))


def test_the_hash_depends_on_token_pepper_and_version() -> None:
    token, other = parse(mint(TokenKind.API_KEY)), parse(mint(TokenKind.API_KEY))
    hashes = {
        keyed_hash(token, b"p" * 32, version="1"),
        keyed_hash(token, b"q" * 32, version="1"),
        keyed_hash(token, b"p" * 32, version="2"),
        keyed_hash(other, b"p" * 32, version="1"),
    }
    assert len(hashes) == 4
    assert keyed_hash(token, b"p" * 32, version="1") in hashes
