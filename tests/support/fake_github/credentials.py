"""Who calls the API: the app by its JWT, an installation or a user by a token."""

from dataclasses import dataclass
from typing import Any

import jwt

from tests.support.fake_github.records import CallerKind, Token
from tests.support.fake_github.state import State
from tests.support.fake_github.wire import Refusal, refusal

LONGEST_JWT_SECONDS = 600
"""GitHub: "the expiration time ... must be no more than 10 minutes into the future"."""
JWT_DOTS = 2
_EXPIRED = (
    "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion "
    "expires"
)
_TOO_FAR = "'Expiration time' claim ('exp') is too far in the future"
_ISSUED = "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
_UNDECODABLE = "A JSON web token could not be decoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The authenticated caller."""

    kind: CallerKind
    token: Token | None = None

    @property
    def key(self) -> str:
        """What rate limits are counted by."""
        return self.kind if self.token is None else f"{self.token.kind} {self.token.owner_id}"


NOBODY = Caller(kind="none")
APP = Caller(kind="app")


def authenticate(state: State, authorization: str | None) -> Caller:
    """The caller by its Authorization header. Raises Refusal."""
    if authorization is None:
        return NOBODY
    scheme, _, credential = authorization.partition(" ")
    credential = credential.strip()
    if scheme.lower() not in {"bearer", "token"} or not credential:
        raise refusal(401, "Bad credentials")
    if credential.count(".") == JWT_DOTS:
        _check_jwt(state, credential)
        return APP
    with state.lock:
        token = state.tokens.get(credential)
        if token is None or (token.expires_at is not None and token.expires_at <= state.clock.now()):
            raise refusal(401, "Bad credentials")
        if token.kind == "user":
            return Caller(kind="user", token=token)
        if token.owner_id not in state.installations:
            raise refusal(401, "Bad credentials")
        return Caller(kind="installation", token=token)


def _check_jwt(state: State, credential: str) -> None:
    try:
        # The claims are judged here, by the fake's own clock.
        claims: dict[str, Any] = jwt.decode(
            credential,
            state.app.public_key_pem,
            algorithms=["RS256"],
            options={
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_iss": False,
                "verify_aud": False,
                "verify_sub": False,
            },
        )
    except jwt.PyJWTError as error:
        raise refusal(401, _UNDECODABLE) from error
    if mistake := _mistake(claims, state.clock.now()):
        raise refusal(401, mistake)
    if str(claims.get("iss")) not in {str(state.app.id), state.app.client_id}:
        raise _unknown_issuer()


def _mistake(claims: dict[str, Any], now: float) -> str:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(expires, int) or expires <= now:
        return _EXPIRED
    if expires > now + LONGEST_JWT_SECONDS:
        return _TOO_FAR
    if not isinstance(issued, int) or issued > now:
        return _ISSUED
    return ""


def _unknown_issuer() -> Refusal:
    return refusal(404, "Integration not found")
