"""PKCE and nonces: the RFC's example, and forms that round-trip."""

import pytest

from relay.auth import (
    challenge,
    is_nonce,
    mint_nonce,
    mint_verifier,
    nonce_hash,
    parse_nonce_hash,
    print_nonce_hash,
)


def test_the_example_of_rfc_7636_appendix_b() -> None:
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_have_the_length_that_the_rfc_asks_for_and_never_repeat() -> None:
    verifiers = {mint_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    assert all(43 <= len(verifier) <= 128 for verifier in verifiers)


def test_a_nonces_hash_is_read_as_it_was_printed() -> None:
    nonce = mint_nonce()
    assert is_nonce(nonce)
    assert parse_nonce_hash(print_nonce_hash(nonce_hash(nonce))) == nonce_hash(nonce)
    assert nonce_hash(nonce) != nonce_hash(mint_nonce())


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "+", "é" * 43, "a" * 42 + "\n"])
def test_what_is_no_nonce_is_told(text: str) -> None:
    assert not is_nonce(text)
    assert parse_nonce_hash(text) is None


def test_a_hash_with_spare_bits_set_is_no_hash() -> None:
    assert parse_nonce_hash("A" * 42 + "B") is None
