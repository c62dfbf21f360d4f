"""Templates, and the workspaces of pull requests, as the API speaks of them."""

from pydantic import ConfigDict, Field, JsonValue

from relay.control.models.common import Answer, ListAnswer, Request, Time
from relay.control.models.workspaces import SPEC_EXAMPLE, Branch, Commit, PullRequestSpec

_TEMPLATE_EXAMPLE: dict[str, JsonValue] = {
    "cluster": "c1",
    "description": "pull request @{number}",
    "images": [{"name": "acme/web", "newTag": "@{headCommit}"}],
    "endpoints": [{"name": "web", "target": "http://web.shop.svc:8080"}],
}
_WITHOUT_GITHUB = {key: value for key, value in SPEC_EXAMPLE.items() if key != "github"}


class TemplateRequest(Request):
    """The body of a PUT."""

    spec: dict[str, JsonValue] = Field(examples=[_TEMPLATE_EXAMPLE])
    """A workspace's specification without `github`; its texts may hold `@{number}`, `@{branch}`, `@{headCommit}`,
    `@{repository}` and `@{workspace}`."""


class TemplateAnswer(Answer):
    """The template of a repository."""

    repository: str = Field(examples=["acme/shop"])
    """`owner/name` in lower case."""
    spec: dict[str, JsonValue] = Field(examples=[_TEMPLATE_EXAMPLE])
    """As it was put."""
    created_at: Time
    updated_at: Time


class TemplateList(ListAnswer):
    """The templates of an org, oldest first."""

    items: list[TemplateAnswer]


class PullRequestRequest(Request):
    """The body of a POST; without `spec` the repository's template is used. It may be left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "spec": {key: value for key, value in SPEC_EXAMPLE.items() if key != "github"},
                    "headCommit": "9fceb02",
                }
            ]
        }
    )

    spec: PullRequestSpec | None = None
    """What the workspace should be; its `github` is filled in from the path."""
    branch: Branch | None = Field(default=None, examples=["feat"])
    """The branch of the pull request; left out, it stays what the workspace has."""
    head_commit: Commit | None = Field(default=None, examples=["9fceb02d0ae598e95dc970b74767f19372d61af8"])
    """Its last commit; left out, it stays what the workspace has."""
