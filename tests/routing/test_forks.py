"""Targets in clones."""

import pytest

from relay.errors import InvalidError
from relay.routing import ForkTarget, is_fork_target, parse_fork_target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("fork://deployment/web:8080", ForkTarget(namespace="", deployment="web", port=8080)),
        ("fork://deployment/web:8080/", ForkTarget(namespace="", deployment="web", port=8080)),
        ("fork://deployment/shop/web.v2:1", ForkTarget(namespace="shop", deployment="web.v2", port=1)),
    ],
)
def test_a_fork_target_names_a_deployment_and_a_port(target: str, expected: ForkTarget) -> None:
    assert is_fork_target(target)
    assert parse_fork_target(target) == expected


@pytest.mark.parametrize(
    "target",
    [
        "fork://deployment/web",
        "fork://deployment/web:0",
        "fork://deployment/web:65536",
        "fork://deployment/:80",
        "fork://deployment/-web:80",
        "fork://deployment/web-:80",
        "fork://deployment/-shop/web:80",
        "fork://deployment/a/b/c:80",
        "fork://statefulset/web:80",
        "fork://deployment/Web:80",
        "fork://deployment/web:80/path",
        "fork://deployment/web:80\n",
        "fork://deployment/" + "a" * 254 + ":80",
    ],
)
def test_anything_else_is_refused_with_the_field(target: str) -> None:
    with pytest.raises(InvalidError, match=r"^spec\.endpoints\.0\.target: "):
        parse_fork_target(target, field="spec.endpoints.0.target")
