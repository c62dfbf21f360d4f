"""Which agents this relay takes, by their version. Pure."""

import re
from typing import Final

OLDEST_AGENT: Final = (0, 1, 0)
"""The oldest agent that is served; raised only with a line in CHANGELOG.md under "Removed"."""

_VERSION = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?(?:\.([0-9]{1,6}))?(?:[.+a-z-].*)?", re.ASCII)


def too_old(agent_version: str) -> str | None:
    """The sentence for an agent that is too old, None for one that is served.

    A version that is not three numbers is not judged: docs/protocol.md lets other programs be agents, which name
    themselves as they like and are bound by the protocol's own version.
    """
    match = _VERSION.fullmatch(agent_version)
    if match is None:
        return None
    if tuple(int(part or 0) for part in match.groups()) >= OLDEST_AGENT:
        return None
    oldest = ".".join(str(part) for part in OLDEST_AGENT)
    return f"agent {agent_version} is too old for this relay, which takes {oldest} and newer: upgrade the agent"
