"""Queries: templates, from which the workspaces of a repository's pull requests are made."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, delete, select

from relay.errors import InvalidError, NotFoundError
from relay.store.records import SYSTEM, Actor, Change
from relay.store.rows import Transaction, page_size, to_json
from relay.store.schema import workspace_templates

_REPOSITORY = re.compile(r"[a-z0-9_-]{1,39}/[a-z0-9._-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A workspace specification with placeholders."""

    id: str
    org_id: str
    repository: str
    """`owner/name` in lower case."""
    document: Mapping[str, Any]
    """The specification as the API takes it, with placeholders in its texts."""
    created_at: float
    updated_at: float


def put(
    tx: Transaction, org_id: str, repository: str, document: Mapping[str, Any], *, actor: Actor = SYSTEM
) -> tuple[Template, bool]:
    """Keeps the template of a repository; the second value says whether it is new.

    The document must have been checked, see `relay.control.templates.check_template`. Raises InvalidError for what is
    no repository.
    """
    name = repository_key(repository)
    values: dict[str, Any] = {"template": to_json(document), "updated_at": tx.now}
    found = get(tx, org_id, name)
    if found is None:
        index = tx.index(workspace_templates.c.repository_index, name)
        values |= {"org_id": org_id, "repository": name, "repository_index": index, "created_at": tx.now}
        template_id = tx.insert(workspace_templates, values)
    else:
        template_id = found.id
        tx.update(workspace_templates, template_id, values)
    change = Change(kind="template", id=template_id, org_id=org_id, name=name)
    tx.record_event(change, "create" if found is None else "update", actor)
    return require(tx, org_id, name), found is None


def get(tx: Transaction, org_id: str, repository: str) -> Template | None:
    """The org's template of a repository, in whatever case; None when there is none."""
    query = select(workspace_templates).where(
        workspace_templates.c.org_id == org_id,
        tx.matches(workspace_templates.c.repository_index, repository.lower()),
    )
    row = tx.connection.execute(query).mappings().one_or_none()
    return None if row is None else _template(tx, row)


def require(tx: Transaction, org_id: str, repository: str) -> Template:
    """The org's template of a repository. Raises NotFoundError."""
    found = get(tx, org_id, repository)
    if found is None:
        raise NotFoundError(f"there is no template for {repository!r}")
    return found


def find_all(tx: Transaction, org_id: str, *, limit: int = 100, after: str = "") -> Sequence[Template]:
    """Templates of an org in order of creation, `limit` at most, those after the id `after`."""
    query = (
        select(workspace_templates)
        .where(workspace_templates.c.org_id == org_id, workspace_templates.c.id > after)
        .order_by(workspace_templates.c.id)
        .limit(page_size(limit))
    )
    return [_template(tx, row) for row in tx.connection.execute(query).mappings()]


def remove(tx: Transaction, org_id: str, repository: str, *, actor: Actor = SYSTEM) -> Template:
    """Deletes a template; workspaces made from it stay. Raises NotFoundError."""
    found = require(tx, org_id, repository)
    tx.connection.execute(delete(workspace_templates).where(workspace_templates.c.id == found.id))
    change = Change(kind="template", id=found.id, org_id=org_id, name=found.repository)
    tx.record_event(change, "delete", actor)
    return found


def repository_key(repository: str) -> str:
    """The form in which a repository is stored: GitHub's names have no case. Raises InvalidError."""
    name = repository.lower()
    if not _REPOSITORY.fullmatch(name):
        raise InvalidError(f"repository: {repository!r} must be OWNER/NAME, as on GitHub")
    return name


def _template(tx: Transaction, row: RowMapping) -> Template:
    values = tx.reveal(workspace_templates, row)
    return Template(
        id=values["id"],
        org_id=values["org_id"],
        repository=values["repository"],
        document=json.loads(values["template"]),
        created_at=values["created_at"],
        updated_at=values["updated_at"],
    )
