import json
from dataclasses import replace
from pathlib import Path

from benchmarks.document import as_json, read, write
from benchmarks.result import families
from tests.benchmarks.documents import Rounds, document, result

ROUNDS: Rounds = {
    "relay": {"rate": [6.0, None, 9], "own": [2.0, 2, 2]},
    "nginx": {"rate": [3.0, 3, 3], "own": [1.0, 1, 1]},
}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    taken = document(result(ROUNDS, variant="10", axis="workspaces"), complete=False)
    path = write(taken, tmp_path / "results")
    assert path.name == "20260102T030405Z.json"
    again = read(path)
    assert again == replace(taken, results=list(again.results))
    assert list(again.results) == [
        replace(result(ROUNDS, variant="10", axis="workspaces"), measures=list(taken.results[0].measures))
    ]


def test_file_holds_rounds_medians_spread_and_ratios() -> None:
    (scenario,) = json.loads(as_json(document(result(ROUNDS))))["scenarios"]
    assert scenario["figures"]["relay"]["rate"] == {
        "median": 7.5,
        "low": 6,
        "high": 9,
        "rounds": [6, None, 9],
        "spread": 0.4,
    }
    assert scenario["ratios"] == {"relay": {"rate": 2.5}}
    assert scenario["load_bound"] == {"no relay": ["rate"]}


def test_scenarios_of_a_family_share_a_picture_and_others_stand_alone() -> None:
    one, two = result(ROUNDS, name="requests-1"), result(ROUNDS, name="requests-32")
    alone = replace(one, name="idle", family="")
    assert families([one, alone, two]) == {"requests": [one, two], "idle": [alone]}
