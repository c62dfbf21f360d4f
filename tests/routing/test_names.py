"""Names of the workspaces of pull requests: always valid, and apart from each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.routing import pull_request_workspace, valid_name

repositories = st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True)
numbers = st.integers(1, 2**31 - 1)


@given(repositories, numbers)
def test_every_repository_and_number_give_a_valid_name_that_ends_in_the_number(name: str, number: int) -> None:
    made = pull_request_workspace(f"acme/{name}", number)
    assert valid_name(made)
    assert made.endswith(f"-{number}")
    assert made == pull_request_workspace(f"acme/{name.upper()}", number)


@given(st.tuples(repositories, numbers), st.tuples(repositories, numbers))
def test_different_pull_requests_have_different_names(one: tuple[str, int], two: tuple[str, int]) -> None:
    same = (one[0].lower(), one[1]) == (two[0].lower(), two[1])
    names = [pull_request_workspace(f"acme/{name}", number) for name, number in (one, two)]
    assert (names[0] == names[1]) == same


@pytest.mark.parametrize(
    ("repository", "number", "name"),
    [
        ("acme/shop", 42, "shop-42"),
        ("acme/Shop", 42, "shop-42"),
        ("acme/shop-api", 1, "shop-api-1"),
        ("acme/shop.api", 1, "shop-api-ac33-1"),
        ("acme/2048", 7, "r-2048-2ab7-7"),
        ("acme/...", 7, "r-2ea0-7"),
    ],
)
def test_names_are_read_easily(repository: str, number: int, name: str) -> None:
    made = pull_request_workspace(repository, number)
    # Of the hash only its place matters here.
    assert made == name or made.split("-")[:-2] == name.split("-")[:-2]
    assert made.split("-")[-1] == str(number)
