"""What a cluster names things by, checked before it is used: an agent that is not ours may send anything."""

import re
from typing import Any, Final, TypeGuard

LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Of namespaces and Services (RFC 1123)."""
NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""Of other objects."""


def matches(value: Any, grammar: re.Pattern[str]) -> TypeGuard[str]:
    """Whether a value of a document is a text of a grammar."""
    return isinstance(value, str) and grammar.fullmatch(value) is not None
