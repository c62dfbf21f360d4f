import os
import stat
from pathlib import Path

import pytest

from certs import write_file
from certs.__main__ import main


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_never_readable_by_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_file(tmp_path / "key", b"secret", mode=0o600)
    finally:
        os.umask(before)
    assert mode(tmp_path / "key") == 0o600


def test_a_write_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old", mode=0o644)
    with path.open("rb") as reader:
        write_file(path, b"new", mode=0o644)
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o644


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_file(tmp_path / "taken", b"data", mode=0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_the_command_writes_an_authority_and_a_leaf_with_safe_modes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "pki"
    assert main(["--out", str(out), "--name", "*.preview.localhost", "--name", "127.0.0.1"]) == 0
    assert {path.name: mode(path) for path in out.iterdir()} == {
        "ca.pem": 0o644,
        "ca.key": 0o600,
        "server.pem": 0o644,
        "server.key": 0o600,
    }
    assert str(out / "ca.pem") in capsys.readouterr().out


def test_a_second_run_keeps_the_authority_and_renews_the_leaf(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        assert main(["--out", str(tmp_path), "--name", "localhost"]) == 0
        contents.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert contents[0]["ca.pem"] == contents[1]["ca.pem"]
    assert contents[0]["server.pem"] != contents[1]["server.pem"]


@pytest.mark.parametrize("arguments", [["--out", "x"], ["--name", "localhost"], ["--days", "0"], ["--days", "x"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2


@pytest.mark.parametrize("name", ["bank.example", "a b"])
def test_a_name_that_cannot_be_signed_is_one_line_and_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["--out", str(tmp_path), "--name", name]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_that_is_a_file_is_one_line_and_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file"), "--name", "localhost"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
