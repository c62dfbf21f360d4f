"""A sign-in at GitHub between its two requests (RFC 6749 4.1, RFC 7636): kept in the browser, sealed."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.auth import challenge, mint_verifier
from relay.dashboard.cookies import OAUTH_SECONDS
from relay.dashboard.services import Sealer

STATE_BYTES = 32
"""256 bits, as the verifier has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A sign-in that has begun in one browser."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    """Of PKCE; never leaves browser and relay."""
    expires_at: float
    """Epoch seconds."""
    fields: Mapping[str, str]
    """Where to go afterwards."""

    @property
    def challenge(self) -> str:
        """The verifier's S256 challenge (RFC 7636 4.2)."""
        return challenge(self.verifier)


def begin(fields: Mapping[str, str], *, now: float) -> Attempt:
    """A new attempt."""
    return Attempt(
        state=secrets.token_urlsafe(STATE_BYTES),
        verifier=mint_verifier(),
        expires_at=now + OAUTH_SECONDS,
        fields=fields,
    )


def seal(attempt: Attempt, sealer: Sealer) -> str:
    """The cookie's value."""
    values = [attempt.state, attempt.verifier, attempt.expires_at, dict(attempt.fields)]
    return sealer.seal(json.dumps(values, separators=(",", ":")))


def unseal(value: str, sealer: Sealer, *, now: float) -> Attempt | None:
    """The attempt of a cookie; None for a value that this relay did not make, or whose time is over."""
    text = sealer.unseal(value)
    if text is None:
        return None
    state, verifier, expires_at, fields = json.loads(text)
    attempt = Attempt(state=state, verifier=verifier, expires_at=expires_at, fields=fields)
    return attempt if now < expires_at else None
