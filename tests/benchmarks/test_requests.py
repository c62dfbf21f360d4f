from benchmarks.scenarios import Options, chosen_scenarios


def names(**options: tuple[int, ...] | tuple[str, ...]) -> list[str]:
    return [scenario.name for scenario in chosen_scenarios(["requests"], Options(**options))]  # type: ignore[arg-type]


def test_core_is_small_answers_at_three_loads_and_larger_ones_at_one() -> None:
    assert names() == ["requests-1", "requests-32", "requests-256", "requests-32-10KiB", "requests-32-1MiB"]


def test_options_give_all_combinations() -> None:
    assert names(connections=(1, 64), answers=("12B", "1MiB")) == [
        *("requests-1", "requests-64"),
        *("requests-1-1MiB", "requests-64-1MiB"),
    ]


def test_side_that_options_leave_open_is_the_cores() -> None:
    assert names(connections=(7,)) == ["requests-7"]
    assert names(answers=("10KiB",)) == ["requests-1-10KiB", "requests-32-10KiB", "requests-256-10KiB"]


def test_other_scenarios_are_what_their_names_say() -> None:
    found = chosen_scenarios(["bulk", "requests"], Options(connections=(1,)))
    assert [scenario.name for scenario in found] == ["bulk-down", "bulk-up", "requests-1"]
