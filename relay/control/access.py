"""Who is asking: each request is authenticated before anything else of it is looked at."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader

from relay.auth import Action, Membership, Principal, require
from relay.control.services import Services
from relay.errors import UnauthenticatedError
from relay.store import Actor

API_KEY_HEADER = "signadot-api-key"
SHOWN_CHARACTERS = 4

# For the OpenAPI document only: `ProtectedRoute` is what reads the header.
api_key_scheme = APIKeyHeader(
    name=API_KEY_HEADER, auto_error=False, description="An API key; `Authorization: ApiKey <key>` works as well."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The principal of a request."""

    principal: Principal
    last_four: str
    """The last characters of the key that was presented."""

    @property
    def actor(self) -> Actor:
        """Whom the audit events name."""
        return replace(Actor.of(self.principal), last_four=self.last_four)


class ProtectedRoute(APIRoute):
    """A route that authenticates before it reads the body: a stranger learns nothing from validation errors."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps the handler of FastAPI."""
        handle = super().get_route_handler()

        async def authenticated(request: Request) -> Response:
            request.state.caller = await _authenticate(request)
            return await handle(request)

        return authenticated


def services_of(request: Request) -> Services:
    """What `make_api` was given."""
    return cast("Services", request.app.state.services)


def caller_of(request: Request) -> Caller:
    """Who is asking."""
    return cast("Caller", request.state.caller)


def membership_for(action: Action) -> Callable[[Request, str], Coroutine[Any, Any, Membership]]:
    """A dependency: the caller's membership in the path's org, by which it may do `action`.

    Raises ForbiddenError.
    """

    async def membership(request: Request, org: str) -> Membership:
        return require(caller_of(request).principal, org, action)

    return membership


ServicesOf = Annotated[Services, Depends(services_of)]
CallerOf = Annotated[Caller, Depends(caller_of)]


async def _authenticate(request: Request) -> Caller:
    api_key = _presented(request)
    principal = await services_of(request).lookups.principal(api_key)
    return Caller(principal=principal, last_four=api_key[-SHOWN_CHARACTERS:])


def _presented(request: Request) -> str:
    api_key = request.headers.get(API_KEY_HEADER)
    if api_key is not None:
        return api_key.strip()
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "apikey" and credential.strip():
        return credential.strip()
    raise UnauthenticatedError(
        f"the API needs a credential: send the header `{API_KEY_HEADER}: <key>` or `Authorization: ApiKey <key>`"
    )
