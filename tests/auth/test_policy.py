"""The policy: an admin may do everything, a member workspaces and reading the rest, others nothing."""

import pytest

from relay.auth import Action, Membership, Principal, PrincipalKind, Role, permits, require
from relay.auth.policy import POLICY
from relay.errors import ForbiddenError

ADMIN_ONLY = {
    Action.WRITE_CLUSTERS,
    Action.WRITE_CLUSTER_TOKENS,
    Action.WRITE_API_KEYS,
    Action.WRITE_MEMBERS,
    Action.WRITE_TEMPLATES,
}


def principal(role: Role) -> Principal:
    membership = Membership(org_id="1", org="acme", role=role)
    return Principal(kind=PrincipalKind.API_KEY, credential_id="k", memberships=(membership,))


def test_every_action_has_its_row() -> None:
    assert set(POLICY) == set(Action)


@pytest.mark.parametrize("action", list(Action))
def test_an_admin_may_do_everything(action: Action) -> None:
    assert require(principal(Role.ADMIN), "acme", action).org_id == "1"


@pytest.mark.parametrize("action", list(Action))
def test_a_member_may_do_all_but_administer(action: Action) -> None:
    assert permits(Role.MEMBER, action) is (action not in ADMIN_ONLY)
    if action in ADMIN_ONLY:
        with pytest.raises(ForbiddenError, match=f"may not {action.value}"):
            require(principal(Role.MEMBER), "acme", action)


@pytest.mark.parametrize("action", list(Action))
def test_nobody_may_do_anything_in_another_org(action: Action) -> None:
    with pytest.raises(ForbiddenError, match="does not belong"):
        require(principal(Role.ADMIN), "other", action)
