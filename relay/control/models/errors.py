"""The shape of every error answer."""

from pydantic import Field

from relay.control.models.common import Answer


class Problem(Answer):
    """One value of the request that breaks a rule."""

    path: str = Field(examples=["spec.endpoints[0].visibility"])
    """Where in the request; empty for the body as a whole."""
    message: str = Field(examples=["must be 'org' or 'public'"])
    """The rule."""


class ErrorAnswer(Answer):
    """What went wrong."""

    code: str = Field(examples=["not_found"])
    """Machine-readable and stable."""
    error: str = Field(examples=["cluster 'c1' does not exist in the org 'acme'"])
    """One sentence for people."""
    request_id: str = Field(examples=["5f0c1d9a4b00000001"])
    """Names the request in the relay's log."""
    problems: tuple[Problem, ...] | None = None
    """With `code` `invalid`: every problem found."""
