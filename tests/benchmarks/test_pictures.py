"""Pictures hold what the figures say; matplotlib is there where benchmarks are run."""

import sys
from pathlib import Path

import pytest

import benchmarks
from benchmarks.__main__ import main
from benchmarks.document import write
from tests.benchmarks.documents import Rounds, document, result

ROUNDS: Rounds = {"relay": {"rate": [6000.0, 8000], "cost": [10.0, 12]}, "nginx": {"rate": [2000.0, 2000]}}


def test_without_matplotlib_there_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "benchmarks.pictures", raising=False)
    monkeypatch.delattr(benchmarks, "pictures", raising=False)
    path = write(document(result(ROUNDS)), tmp_path)
    assert main(["draw", str(path)]) == 1
    assert capsys.readouterr().err == "benchmarks: matplotlib is not installed (`make bench` does it)\n"


@pytest.mark.parametrize("axis", ["", "workspaces"])
def test_family_is_one_picture_with_its_units_and_peers(tmp_path: Path, axis: str) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (make bench)")
    results = [result(ROUNDS, name=f"growth-{count}", variant=str(count), axis=axis) for count in (10, 1000)]
    path = write(document(*results), tmp_path)
    assert main(["draw", str(path)]) == 0
    (picture,) = tmp_path.glob("*.svg")
    text = picture.read_text()
    for word in ("requests/s (more is better)", "CPU, us/request (less is better)", "relay", "nginx", "2,000"):
        assert word in text
    assert ("workspaces" in text) is bool(axis)


def test_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (make bench)")
    path = write(document(result(ROUNDS)), tmp_path)
    drawn = []
    for _ in range(2):
        assert main(["draw", str(path)]) == 0
        drawn.append((tmp_path / f"{path.stem}-requests.svg").read_bytes())
    assert drawn[0] == drawn[1]
