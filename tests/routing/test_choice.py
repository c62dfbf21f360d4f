"""The choice of the less loaded of two."""

import random

from hypothesis import given
from hypothesis import strategies as st

from relay.routing import Route, RouteTable, pick_of_two


def test_there_is_no_choice_among_none_and_no_question_with_one() -> None:
    assert pick_of_two([], load=int, random=random.random) is None
    assert pick_of_two([7], load=int, random=random.random) == 7


@given(st.lists(st.integers(), min_size=2, unique=True), st.floats(0, 1, exclude_max=True), st.data())
def test_the_most_loaded_is_never_picked(loads: list[int], first: float, data: st.DataObject) -> None:
    second = data.draw(st.floats(0, 1, exclude_max=True))
    draws = iter([first, second])
    assert pick_of_two(loads, load=int, random=lambda: next(draws)) != max(loads)


def test_every_pair_is_drawn() -> None:
    generator = random.Random(1)
    pairs: set[frozenset[int]] = set()
    for _ in range(500):
        seen: list[int] = []

        def note(value: int, into: list[int] = seen) -> int:
            into.append(value)
            return 0

        pick_of_two([1, 2, 3, 4], load=note, random=generator.random)
        pairs.add(frozenset(seen))
    assert len(pairs) == 6
    assert all(len(pair) == 2 for pair in pairs)


def test_a_route_table_finds_by_endpoint() -> None:
    route = Route(
        org_id="o", org="acme", cluster_id="c", cluster="c1", workspace="pr-1", endpoint="web",
        target_host="web", target_port=80, routing_key="k",
    )  # fmt: skip
    table = RouteTable([route])
    assert table.lookup("web") is route
    assert table.lookup("api") is None
    assert list(table) == [route]
    assert len(table) == 1
