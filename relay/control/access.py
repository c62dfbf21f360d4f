"""Who is asking: each request is authenticated before anything else of it is looked at."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader

from relay.auth import Action, Membership, Principal, require
from relay.control import rates
from relay.control.parameters import OrgName
from relay.control.services import Services
from relay.errors import UnauthenticatedError, UnsupportedMediaTypeError
from relay.store import Actor

API_KEY_HEADER = "signadot-api-key"
SHOWN_CHARACTERS = 4

# For the OpenAPI document only: `ProtectedRoute` is what reads the headers.
api_key_scheme = APIKeyHeader(
    name=API_KEY_HEADER, scheme_name="apiKey", auto_error=False, description="An API key, `sdk_…`."
)
authorization_scheme = APIKeyHeader(
    name="Authorization",
    scheme_name="authorization",
    auto_error=False,
    description="The same with a scheme in front: `ApiKey sdk_…`.",
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
            request.state.caller = caller = await _authenticate(request)
            # Kept before it is acted upon: the refusal shows it too.
            request.state.allowance = allowance = rates_of(request).count(caller.principal.credential_id)
            rates.require(allowance)
            await _require_json(request)
            return await handle(request)

        return authenticated


def services_of(request: Request) -> Services:
    """What `make_api` was given."""
    return cast("Services", request.app.state.services)


def rates_of(request: Request) -> rates.Rates:
    """Who asked how often."""
    return cast("rates.Rates", request.app.state.rates)


def caller_of(request: Request) -> Caller:
    """Who is asking."""
    return cast("Caller", request.state.caller)


def membership_for(action: Action) -> Callable[[Request, OrgName], Coroutine[Any, Any, Membership]]:
    """A dependency: the caller's membership in the path's org, by which it may do `action`.

    Raises ForbiddenError.
    """

    async def membership(request: Request, org: OrgName) -> Membership:
        return require(caller_of(request).principal, org, action)

    return membership


ServicesOf = Annotated[Services, Depends(services_of)]
CallerOf = Annotated[Caller, Depends(caller_of)]


async def _authenticate(request: Request) -> Caller:
    address = "" if request.client is None else request.client.host
    try:
        api_key = _presented(request)
        principal = await _principal(request, api_key, address)
    except UnauthenticatedError:
        rates_of(request).count_failure(address)
        raise
    return Caller(principal=principal, last_four=api_key[-SHOWN_CHARACTERS:])


async def _principal(request: Request, api_key: str, address: str) -> Principal:
    lookups = services_of(request).lookups
    principal = lookups.principal_nowait(api_key)
    if principal is not None:
        return principal  # keys in use go on working beside somebody who guesses
    if not lookups.was_good(api_key):  # nor does their memory's time matter: another client behind one address may fail
        rates_of(request).require_trust(address)
    return await lookups.principal(api_key)


async def _require_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and await request.body():
        raise UnsupportedMediaTypeError("the body must be JSON, sent with content-type: application/json")


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
