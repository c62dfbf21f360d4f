"""Orgs, API keys and events as the API speaks of them."""

from pydantic import Field

from relay.control.models.common import Answer, Description, LastFour, ListAnswer, RecordId, Request, RoleName, Time


class Credential(Answer):
    """What was presented."""

    kind: str = Field(examples=["api_key"])
    last_four: LastFour


class OrgAnswer(Answer):
    """An org that the credential belongs to."""

    name: str = Field(examples=["acme"])
    role: RoleName = Field(examples=["admin"])


class OrgList(Answer):
    """Who am I."""

    items: list[OrgAnswer]
    credential: Credential


class OrgDetails(Answer):
    """An org."""

    name: str = Field(examples=["acme"])
    created_at: Time
    github_account: str | None = Field(examples=["acme"])
    """The organisation or person on GitHub whose members may sign in; null when it is linked to none."""


class ApiKeyRequest(Request):
    """The body of a POST."""

    name: Description = Field(examples=["ci"])
    """For people, to tell keys apart."""
    role: RoleName = Field("member", examples=["member"])
    """What it may do: `admin` everything, `member` workspaces and reading the rest."""


class ApiKeyAnswer(Answer):
    """An API key, without its secret."""

    id: RecordId
    name: str = Field(examples=["ci"])
    role: RoleName = Field(examples=["member"])
    last_four: LastFour
    created_at: Time
    last_used_at: Time | None
    """Precise to about a minute; null when it was never used."""


class NewApiKeyAnswer(ApiKeyAnswer):
    """An API key just made."""

    key: str = Field(examples=["sdk_…"])
    """The secret; shown this once."""


class ApiKeyList(ListAnswer):
    """The API keys of an org, oldest first."""

    items: list[ApiKeyAnswer]


class ObjectAnswer(Answer):
    """What was changed."""

    kind: str = Field(examples=["workspace"])
    """`org`, `api_key`, `cluster`, `cluster_token`, `workspace`, `template`, `member` or `login`."""
    id: RecordId
    name: str = Field(examples=["shop-42"])


class ActorAnswer(Answer):
    """Who made a change; the credential may be gone by now."""

    kind: str = Field(examples=["api_key"])
    """`api_key`; `login`, a person; `github`, the GitHub App; or `system`: the operator, or the relay itself."""
    id: str = Field(examples=["0644fee2d4a4000000d1f2a3b4c5d6e7"])
    """Id of the credential's record; the GUID of GitHub's delivery for `github`; `relay` for `system`."""
    last_four: LastFour
    name: str = Field(examples=[""])
    """What people call a user who did it; empty for a program."""


class EventAnswer(Answer):
    """Who changed what, when, with which credential."""

    id: RecordId
    at: Time
    action: str = Field(examples=["update"])
    """`create`, `update` or `delete`."""
    object: ObjectAnswer
    credential: ActorAnswer


class EventList(ListAnswer):
    """The events of an org, newest first."""

    items: list[EventAnswer]
