"""Sealing: values open in their own place only, and the keys of the store come from one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.auth import MasterKey, Sealer, TokenKind, UnsealError, mint, mint_master_key, parse, parse_master_key
from relay.errors import ConfigurationError

MASTER = MasterKey(secret=bytes(range(32)))
OTHER = MasterKey(secret=bytes(range(1, 33)))
PLACE = {"table": "workspaces", "column": "branch", "row_id": "1"}


@given(st.text())
def test_what_is_sealed_unseals(text: str) -> None:
    sealer = Sealer(MASTER)
    assert sealer.unseal(sealer.seal(text, **PLACE), **PLACE) == text


@pytest.mark.parametrize("moved", [{"table": "events"}, {"column": "repository"}, {"row_id": "2"}])
def test_a_value_moved_to_another_place_does_not_unseal(moved: dict[str, str]) -> None:
    sealer = Sealer(MASTER)
    blob = sealer.seal("main", **PLACE)
    with pytest.raises(UnsealError, match="moved"):
        sealer.unseal(blob, **(PLACE | moved))


@given(st.integers(0, 36), st.integers(1, 255))
def test_any_changed_byte_is_noticed(position: int, flip: int) -> None:
    sealer = Sealer(MASTER)
    blob = bytearray(sealer.seal("main", **PLACE))
    blob[position] ^= flip
    with pytest.raises(UnsealError):
        sealer.unseal(bytes(blob), **PLACE)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused(blob: bytes) -> None:
    with pytest.raises(UnsealError):
        Sealer(MASTER).unseal(blob, **PLACE)


def test_sealing_twice_gives_two_blobs() -> None:
    sealer = Sealer(MASTER)
    assert sealer.seal("main", **PLACE) != sealer.seal("main", **PLACE)


def test_an_earlier_key_still_unseals_and_a_missing_one_is_named() -> None:
    blob = Sealer(OTHER).seal("main", **PLACE)
    assert Sealer(MASTER, others=[OTHER]).unseal(blob, **PLACE) == "main"
    with pytest.raises(UnsealError, match=f"key {OTHER.id}, which is not at hand"):
        Sealer(MASTER).unseal(blob, **PLACE)


def test_a_blind_index_is_stable_and_differs_between_columns_and_keys() -> None:
    def index(master: MasterKey, value: str, table: str, column: str) -> bytes:
        return Sealer(master).blind_index(value, table=table, column=column)

    first = index(MASTER, "acme", "orgs", "name")
    assert first == index(MASTER, "acme", "orgs", "name")
    others = {
        index(MASTER, "acmf", "orgs", "name"),
        index(MASTER, "acme", "clusters", "name"),
        index(MASTER, "acme", "orgs", "name_index"),
        index(OTHER, "acme", "orgs", "name"),
    }
    assert len(others | {first}) == 5


def test_a_token_hashed_under_an_earlier_pepper_is_still_found() -> None:
    token = parse(mint(TokenKind.API_KEY))
    stored, version = Sealer(OTHER).token_hash(token)
    hashes = Sealer(MASTER, others=[OTHER]).token_hashes(token)
    assert version == OTHER.id
    assert stored in hashes
    assert hashes[0] == Sealer(MASTER).token_hash(token)[0]


def test_a_master_key_file_is_read_back() -> None:
    text = mint_master_key()
    assert parse_master_key(text, source="master.key") == parse_master_key("  " + text, source="x")


@pytest.mark.parametrize(
    "text",
    ["", "AAAA", "not base64!", "A" * 44, pytest.param(mint_master_key() + mint_master_key(), id="two keys")],
)
def test_what_is_no_master_key_is_said_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^master\.key: not a master key") as caught:
        parse_master_key(text, source="master.key")
    assert not text or text not in str(caught.value)


def test_keys_for_different_purposes_differ_and_repr_shows_none() -> None:
    keys = {MASTER.derive(purpose) for purpose in ("sealing", "index", "pepper", "sqlcipher", "id")}
    assert len(keys) == 5
    assert MASTER.secret not in keys
    assert repr(MASTER) == f"MasterKey(id='{MASTER.id}')"
