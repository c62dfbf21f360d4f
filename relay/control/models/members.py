"""Members as the API speaks of them."""

from typing import Literal

from pydantic import Field

from relay.control.models.common import Answer, ListAnswer, Request, RoleName, Time


class MemberRequest(Request):
    """The body of a PUT."""

    role: RoleName = Field(examples=["admin"])
    """What they may do: `admin` everything, `member` workspaces and reading the rest."""


class MemberAnswer(Answer):
    """A user's place in an org."""

    login: str = Field(examples=["octocat"])
    """What they are called at GitHub, or here."""
    role: RoleName = Field(examples=["member"])
    provider: Literal["github", "local"] = Field(examples=["github"])
    """Who says that they belong to the org: GitHub, or the operator of this relay."""
    active: bool = Field(examples=[True])
    """False when they no longer belong to it; the role is kept in case they come back."""
    checked_at: Time
    """When that was last asked."""


class MemberList(ListAnswer):
    """The members of an org."""

    items: list[MemberAnswer]
