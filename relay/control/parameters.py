"""Parts of paths, as operations take them."""

import re
from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from relay.errors import NotFoundError

_ID = re.compile(r"[0-9a-f]{32}")


def _known_form(value: str) -> str:
    # Not left to the database, which may refuse characters that no id has.
    if not _ID.fullmatch(value):
        raise NotFoundError(f"there is nothing with the id {value!r}")
    return value


OrgName = Annotated[str, Path(description="Name of the org.", examples=["acme"])]
ClusterName = Annotated[str, Path(description="Name of the cluster.", examples=["c1"])]
WorkspaceName = Annotated[str, Path(description="Name of the workspace.", examples=["shop-42"])]
Login = Annotated[str, Path(description="What the user is called at GitHub or here.", examples=["octocat"])]
Owner = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9_-]{1,39}$", description="Owner of the repository at GitHub.", examples=["acme"])
]
Repo = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Name of the repository at GitHub.", examples=["shop"])
]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="Number of the pull request.", examples=[42])]
Id = Annotated[
    str,
    Path(description="An id, as the list shows it.", examples=["0644fee2d4a4000000d1f2a3b4c5d6e7"]),
    AfterValidator(_known_form),
]
