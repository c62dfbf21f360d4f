import io

from rich.console import Console

from benchmarks.progress import Lines, Picture, watching
from benchmarks.report import headline, show, width_for
from benchmarks.result import Result
from benchmarks.scenarios import Requests
from tests.benchmarks.documents import result

ROUNDS = {
    "relay": {"rate": [6000.0, 8000], "cost": [10.0, 12]},
    "nginx": {"rate": [2000.0, 2000], "cost": [5.0, 5]},
    "no relay": {"cost": [1.0, 1]},
}
NOTES = {"relay": "all on", "no relay": "plain HTTP towards the visitor"}


def shown(found: Result) -> str:
    output = io.StringIO()
    show(found, Console(file=output, width=width_for(3)), yardstick="nginx", notes=NOTES)
    return output.getvalue()


def test_table_shows_median_extremes_and_ratio() -> None:
    text = shown(result(ROUNDS))
    assert "median [low-high]" in text
    assert "7,000 [6,000-8,000]  x3.50" in text
    assert "relay (x nginx)" in text


def test_rows_that_nobody_has_are_left_out() -> None:
    assert "own ratio" not in shown(result(ROUNDS))


def test_figure_that_would_tell_of_the_load_generator_says_so() -> None:
    assert "load-bound │" in shown(result(ROUNDS))


def test_notes_and_remarks_stand_below_the_table() -> None:
    text = shown(result(ROUNDS))
    assert "no relay: plain HTTP towards the visitor" in text
    assert "  relay: a remark\n" in text


def test_line_about_a_round_has_its_own_values() -> None:
    assert headline(result(ROUNDS), "relay") == "requests/s 8,000, CPU, us/request 12.0"


def test_line_about_a_failed_round_says_that_there_is_no_figure() -> None:
    assert headline(result({"relay": {"rate": [1.0, None]}}), "relay") == "no figure"


def test_without_a_terminal_every_round_is_a_line() -> None:
    output = io.StringIO()
    console = Console(file=output, width=60)
    with watching(console, yardstick="nginx", notes=NOTES, total=6) as watch:
        assert isinstance(watch, Lines)
        watch.begin(Requests(connections=1), 1, "relay")
        watch.end(result(ROUNDS), "relay")
        assert output.getvalue() == "[1/6] requests-1 round 2, relay: requests/s 8,000, CPU, us/request 12.0\n"
        watch.done(result(ROUNDS))
    assert "x3.50" in output.getvalue()


def test_on_a_terminal_the_table_fills_above_a_bar() -> None:
    output = io.StringIO()
    console = Console(file=output, width=160, force_terminal=True, color_system=None)
    with watching(console, yardstick="nginx", notes=NOTES, total=6) as watch:
        assert isinstance(watch, Picture)
        watch.begin(Requests(connections=1), 1, "relay")
        watch.end(result(ROUNDS), "relay")
        console.file.flush()
        watch.done(result(ROUNDS))
    text = output.getvalue()
    assert "requests-1: round 2, relay" in text
    assert "1/6" in text
    assert "x3.50" in text
