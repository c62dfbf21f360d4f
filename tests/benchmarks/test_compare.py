import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.__main__ import main
from benchmarks.compare import changes, show
from benchmarks.document import Document, as_json
from tests.benchmarks.documents import Rounds, document, result

STEADY = [100.0, 101, 102, 103, 104]
NGINX = {"rate": [1000.0, 1000, 1000, 1000, 1000], "cost": [20.0, 20, 20, 20, 20]}


def pair(before: Rounds, after: Rounds) -> tuple[Document, Document]:
    return document(result(before)), document(result(after))


def verdicts(before: Rounds, after: Rounds) -> dict[tuple[str, str], str]:
    return {(change.peer, change.measure.key): change.verdict for change in changes(*pair(before, after))}


def relay(**rounds: list[float]) -> dict[str, dict[str, list[float]]]:
    return {"relay": rounds, "nginx": dict(NGINX)}


def test_what_takes_less_and_what_does_more_is_better() -> None:
    more = [value * 1.2 for value in STEADY]
    found = verdicts(relay(rate=STEADY, cost=more, own=STEADY), relay(rate=more, cost=STEADY, own=more))
    assert found["relay", "rate"] == "better"
    assert found["relay", "cost"] == "better"
    assert found["relay", "own"] == "worse"


def test_rounds_that_overlap_are_the_same() -> None:
    found = verdicts(relay(cost=STEADY), relay(cost=[103.0, 110, 111, 112, 113]))
    assert found["relay", "cost"] == "same"


def test_sure_but_tiny_changes_are_of_no_interest() -> None:
    found = verdicts(relay(cost=[100.0] * 5), relay(cost=[101.0] * 5))
    assert found["relay", "cost"] == "same"


def test_slower_machine_is_no_change_of_the_relay() -> None:
    slow = {"relay": {"cost": [value * 2 for value in STEADY]}, "nginx": {"cost": [40.0] * 5}}
    found = verdicts(relay(cost=STEADY), slow)
    assert found["relay", "cost"] == "same"
    assert found["nginx", "cost"] == "worse"


def test_too_few_rounds_tell_nothing() -> None:
    found = verdicts(relay(cost=[1.0, 2, 3]), relay(cost=[100.0, 200, 300]))
    assert found["relay", "cost"] == "too few rounds"


def test_how_busy_cores_were_is_not_judged() -> None:
    found = verdicts(relay(front_share=STEADY), relay(front_share=[1.0] * 5))
    assert ("relay", "front_share") not in found


def test_figures_that_one_run_lacks_are_left_out() -> None:
    assert ("relay", "cost") not in verdicts(relay(rate=STEADY), relay(rate=STEADY, cost=STEADY))


def test_comparison_shows_changes_circumstances_and_the_rule() -> None:
    before, after = pair(relay(rate=STEADY, cost=STEADY), relay(rate=STEADY, cost=[50.0] * 5))
    after = replace(after, machine={"cores": 4, "load_average": 0.9})
    output = io.StringIO()
    show(before, after, Console(file=output, width=170), everything=False)
    text = output.getvalue()
    assert "102.0 [100.0-104.0]" in text
    assert "-51%" in text
    assert "better" in text
    assert "│ cores │" in text
    assert "load_average" not in text
    assert "less than once in 100 (exact rank test)" in text
    assert text.rstrip().endswith("1 better; 0 worse; 3 same")
    assert "requests/s" not in text


def test_scenario_of_one_run_only_is_named() -> None:
    output = io.StringIO()
    before = document(result(relay(rate=STEADY)))
    show(before, document(), Console(file=output, width=170), everything=True)
    assert "in one file only: requests-1" in output.getvalue()


def test_command_prints_and_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, factor in (("a", 1), ("b", 2)):
        text = as_json(document(result(relay(cost=[value * factor for value in STEADY]))))
        (tmp_path / f"{name}.json").write_text(text)
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    assert "worse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        ("{", "is not JSON"),
        ("[1]", "is no result of these benchmarks: its format is None"),
        ('{"format": "another 7"}', "is no result of these benchmarks: its format is 'another 7'"),
        ('{"format": "relay-benchmarks 1"}', "is damaged: KeyError 'taken_at'"),
    ],
    ids=["missing", "no JSON", "a list", "foreign", "damaged"],
)
def test_bad_file_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, reason: str
) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    assert main(["compare", str(path), str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"benchmarks: {path} {reason}")
