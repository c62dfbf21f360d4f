import pytest

from client.cli.templates import parse_settings, read_template, read_workspace
from relay.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("a: [", [], "not valid YAML"),
        ("[]", [], "must have `name` and `spec`"),
        ("{name: 1, spec: {}}", [], "`name` must be text"),
        ("{name: w, spec: {}, kind: x}", [], "unknown key kind"),
        ('{name: "@{n}", spec: {}}', [], "@{n} has no value"),
        ("{name: w, spec: {}}", ["n=1"], "--set n"),
        ("{name: w, spec: {}}", ["n"], "must be KEY=VALUE"),
        ('{name: "@{n}", spec: {}}', ["n=1", "n=2"], "is there twice"),
        ('{name: w, spec: {x: "@{n[raw]}"}}', ["n=["], "not valid YAML"),
        ('{name: w, spec: {x: "@{n[raw]}"}}', ["n=0x_"], "--set n: not valid YAML"),
        ("{name: w, spec: {x: 0x_}}", [], "not valid YAML"),
        ("{name: w, spec: {x: !!binary aGk=}}", [], "not valid YAML"),
        ("{name: w, spec: {x: !!set {a}}}", [], "not valid YAML"),
        ("{name: w, spec: {x: !!timestamp 2024-01-15}}", [], "not valid YAML"),
        ("{name: w, spec: {x: .nan}}", [], "cannot be written as JSON"),
        ("{name: w, spec: &s {x: *s}}", [], "cannot be written as JSON"),
        ("[" * 5000, [], "nested too deeply"),
    ],
)
def test_a_workspace_file_that_cannot_be_used_is_one_problem(text: str, settings: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_workspace(text, parse_settings(settings), source="w.yaml")
    assert len(caught.value.problems) == 1
    assert said in caught.value.problems[0]


def test_a_value_is_text_unless_raw_is_asked_for_and_never_changes_the_structure() -> None:
    text = '{name: "w-@{n}", spec: {a: "@{n}", b: "@{n[raw]}", c: ["@{x}"], d: "@{x}@{n}"}}'
    name, spec = read_workspace(text, {"n": "042", "x": "}, evil: {"}, source="w.yaml")
    assert name == "w-042"
    assert spec == {"a": "042", "b": 34, "c": ["}, evil: {"], "d": "}, evil: {042"}


def test_every_missing_and_every_unused_value_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_workspace('{name: "@{a}@{b}", spec: {}}', {"c": "1", "d": "2"}, source="w.yaml")
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("day", ["2024-01-15", "2024-13-45", "2024-01-15T10:00:00Z", "2024-01-15 10:00:00"])
def test_what_looks_like_a_date_stays_text(day: str) -> None:
    text = f'{{name: w, spec: {{a: {day}, b: "@{{n[raw]}}", c: 1, d: true, {day.replace(":", "")}: e}}}}'
    _, spec = read_workspace(text, {"n": day}, source="w.yaml")
    assert spec == {"a": day, "b": day, "c": 1, "d": True, day.replace(":", ""): "e"}
    assert read_template(f"{{repository: a/b, spec: {{a: {day}}}}}", source="t.yaml") == ("a/b", {"a": day})
