import pytest

from client import __version__
from relay.tunnels.versions import OLDEST_AGENT, too_old


@pytest.mark.parametrize("version", ["0.0.9", "0.0", "0", "0.0.99", "0.0.9+build", "0.0.9-rc1", "0.0.9.dev3"])
def test_older_agents_are_told_both_versions(version: str) -> None:
    sentence = too_old(version)
    assert sentence is not None
    assert version in sentence
    assert ".".join(map(str, OLDEST_AGENT)) in sentence


@pytest.mark.parametrize("version", ["0.1", "0.1.0", "0.1.0rc1", "0.2", "1", "1.0.0+build", "10.0.0", __version__])
def test_agents_from_the_oldest_on_are_served(version: str) -> None:
    assert too_old(version) is None


@pytest.mark.parametrize("version", ["benchmark", "my-agent/3", "v1.0.0", "1.2.3.4.5", "99999999999.0", ""])
def test_a_version_that_is_not_three_numbers_is_not_judged(version: str) -> None:
    assert too_old(version) is None
