"""The API as one ASGI application."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

from relay import __version__
from relay.control import (
    api_keys,
    clusters,
    events,
    members,
    orgs,
    pull_requests,
    repository_templates,
    tokens,
    workspaces,
)
from relay.control.errors import AddHeaders, AnswerUnexpected, add_error_handlers
from relay.control.openapi import DESCRIPTION, DocumentedApi
from relay.control.rates import Rates
from relay.control.services import Services

PREFIX = "/api/v2"
FIRST_PREFIX = "/api/v1"


def make_api(services: Services) -> FastAPI:
    """The REST API below /api/v2 and /api/v1. Call it as ASGI application; it needs no lifespan."""
    app = DocumentedApi(
        title="Signadot relay",
        version=__version__,
        description=DESCRIPTION,
        servers=[{"url": "/", "description": "The API host of the relay that this document comes from."}],
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,  # one name for a specification, sent or answered
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    app.state.rates = Rates(requests_per_minute=services.requests_per_minute, clock=services.clock)
    add_error_handlers(app)
    app.add_middleware(AnswerUnexpected)
    app.add_middleware(AddHeaders)
    api = APIRouter(prefix=PREFIX)
    for module in (orgs, clusters, tokens, workspaces, repository_templates, members, api_keys, events):
        api.include_router(module.router)
    app.include_router(api)
    app.include_router(pull_requests.router, prefix=FIRST_PREFIX)
    return app


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)
