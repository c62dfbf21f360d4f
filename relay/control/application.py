"""The API as one ASGI application."""

import re
from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.routing import Route, compile_path

from relay import __version__
from relay.control import (
    api_keys,
    clusters,
    events,
    members,
    orgs,
    pods,
    pull_requests,
    repository_templates,
    tokens,
    workspaces,
)
from relay.control.errors import AddHeaders, AnswerUnexpected, add_error_handlers
from relay.control.github.receiver import PATH as WEBHOOK_PATH
from relay.control.github.receiver import WebhookReceiver
from relay.control.kubernetes import LogBudget
from relay.control.openapi import DESCRIPTION, DocumentedApi
from relay.control.rates import Rates
from relay.control.services import Services

VERSIONS = {
    "/api/v2": (orgs, clusters, tokens, workspaces, pods, repository_templates, members, api_keys, events),
    "/api/v1": (pull_requests,),
}
"""The resources below each prefix."""
OPENAPI_PATH = "/api/v2/openapi.json"


def make_api(services: Services, *, webhook: WebhookReceiver | None = None) -> FastAPI:
    """The REST API below /api/v2 and /api/v1. Call it as ASGI application; it needs no lifespan.

    `webhook`: takes GitHub's deliveries; without one there is nothing at its path.
    """
    app = DocumentedApi(
        title="Signadot relay",
        version=__version__,
        description=DESCRIPTION,
        servers=[{"url": "/", "description": "The API host of the relay that this document comes from."}],
        openapi_url=OPENAPI_PATH,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,  # one name for a specification, sent or answered
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    app.state.log_budget = LogBudget(services.log_limits)
    app.state.rates = Rates(requests_per_minute=services.requests_per_minute, clock=services.clock)
    add_error_handlers(app)
    app.add_middleware(AnswerUnexpected)
    app.add_middleware(AddHeaders)
    for prefix, modules in VERSIONS.items():
        for module in modules:
            app.include_router(module.router, prefix=prefix)
    app.state.places = list(_places())
    if webhook is not None:
        app.router.routes.append(Route(WEBHOOK_PATH, webhook, methods=["POST"], include_in_schema=False))
        app.state.places.append((compile_path(WEBHOOK_PATH)[0], {"POST"}))
    return app


def _places() -> Iterator[tuple[re.Pattern[str], set[str]]]:
    """The paths there are, each with its methods."""
    yield re.compile(re.escape(OPENAPI_PATH) + "$"), {"GET"}
    for prefix, modules in VERSIONS.items():
        for module in modules:
            for route in module.router.routes:
                if isinstance(route, APIRoute):
                    yield compile_path(prefix + route.path)[0], set(route.methods or ())


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)
