from pathlib import Path

import pytest

from client.token import MAX_TOKEN_BYTES, WatchedToken, read_token
from relay.errors import ConfigurationError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("sdt_old\n")
    return path


def test_white_space_around_the_token_is_no_part_of_it(path: Path) -> None:
    path.write_text("\n  sdt_abc \r\n")
    assert read_token(path) == "sdt_abc"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"one two", "one token and nothing else"),
        (b"one\ntwo", "one token and nothing else"),
        (b"t\xc3\xb6ken", "one token and nothing else"),
        (b"to\x00ken", "one token and nothing else"),
        (b"a" * (MAX_TOKEN_BYTES + 1), "it is no token"),
    ],
)
def test_what_cannot_be_a_token_is_refused_without_being_quoted(path: Path, content: bytes, says: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says) as caught:
        read_token(path)
    assert "one two" not in str(caught.value)
    assert "aaaa" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        WatchedToken(tmp_path / "none")
    with pytest.raises(ConfigurationError, match="Is a directory"):
        WatchedToken(tmp_path)


def test_an_unchanged_file_is_no_change(path: Path) -> None:
    token = WatchedToken(path)
    assert not token.refresh()
    path.touch()
    assert not token.refresh()
    assert token.value == "sdt_old"


def test_an_atomic_rename_is_noticed(path: Path) -> None:
    token = WatchedToken(path)
    new = path.with_name("new")
    new.write_text("sdt_new\n")
    new.replace(path)
    assert token.refresh()
    assert token.value == "sdt_new"
    assert not token.refresh()


def test_a_write_in_place_of_the_same_length_is_noticed(path: Path) -> None:
    token = WatchedToken(path)
    with path.open("r+") as file:
        file.write("sdt_new")
    assert token.refresh()
    assert token.value == "sdt_new"


def test_the_swap_of_a_kubernetes_data_link_is_noticed(tmp_path: Path) -> None:
    # The layout that the kubelet makes of a Secret: token -> ..data/token, ..data -> a folder named after the time.
    for folder, value in (("..2026_01", "sdt_one"), ("..2026_02", "sdt_two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "token").write_text(value)
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "token").symlink_to("..data/token")
    token = WatchedToken(tmp_path / "token")
    (tmp_path / "..data_tmp").symlink_to("..2026_02")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert token.refresh()
    assert token.value == "sdt_two"


@pytest.mark.parametrize("content", [b"", b"two words"])
def test_a_broken_file_keeps_the_token_and_says_why(path: Path, content: bytes) -> None:
    token = WatchedToken(path)
    path.write_bytes(content)
    assert not token.refresh()
    assert token.value == "sdt_old"
    assert token.problem is not None
    path.write_text("sdt_new")
    assert token.refresh()
    assert token.problem is None


def test_a_removed_file_keeps_the_token(path: Path) -> None:
    token = WatchedToken(path)
    path.unlink()
    assert not token.refresh()
    assert token.value == "sdt_old"
    assert "No such file" in str(token.problem)


def test_the_token_is_not_shown_in_a_representation(path: Path) -> None:
    assert "sdt_old" not in repr(WatchedToken(path))
