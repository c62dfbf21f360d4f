"""Orgs, API keys and events as the API speaks of them."""

from pydantic import Field

from relay.control.models.common import Answer, Description, Request, RoleName


class Credential(Answer):
    """What was presented."""

    kind: str = Field(examples=["api_key"])
    last_four: str = Field(examples=["x7Qa"])


class OrgAnswer(Answer):
    """An org that the credential belongs to."""

    name: str = Field(examples=["acme"])
    role: RoleName


class OrgList(Answer):
    """Who am I."""

    items: list[OrgAnswer]
    credential: Credential


class ApiKeyRequest(Request):
    """The body of a POST."""

    name: Description = Field(examples=["ci"])
    """For people, to tell keys apart."""
    role: RoleName = "member"


class ApiKeyAnswer(Answer):
    """An API key, without its secret."""

    id: str
    name: str
    role: RoleName
    last_four: str = Field(examples=["x7Qa"])
    created_at: str
    last_used_at: str | None


class NewApiKeyAnswer(ApiKeyAnswer):
    """An API key just made."""

    key: str = Field(examples=["sdk_…"])
    """The secret; shown this once."""


class ApiKeyList(Answer):
    """The API keys of an org, oldest first."""

    items: list[ApiKeyAnswer]


class ObjectAnswer(Answer):
    """What was changed."""

    kind: str = Field(examples=["workspace"])
    id: str
    name: str = Field(examples=["shop-42"])


class ActorAnswer(Credential):
    """The credential that made a change; it may be gone by now."""

    id: str


class EventAnswer(Answer):
    """Who changed what, when, with which credential."""

    id: str
    at: str = Field(examples=["2026-11-23T20:29:00.000Z"])
    action: str = Field(examples=["update"])
    """`create`, `update` or `delete`."""
    object: ObjectAnswer
    credential: ActorAnswer


class EventList(Answer):
    """The latest events of an org, newest first."""

    items: list[EventAnswer]
