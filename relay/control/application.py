"""The API as one ASGI application."""

from fastapi import APIRouter, FastAPI
from starlette.routing import Route

from relay import __version__
from relay.control import api_keys, clusters, events, orgs, tokens, workspaces
from relay.control.errors import AnswerUnexpected, add_error_handlers
from relay.control.github.receiver import PATH as WEBHOOK_PATH
from relay.control.github.receiver import WebhookReceiver
from relay.control.services import Services

PREFIX = "/api/v2"


def make_api(services: Services, *, webhook: WebhookReceiver | None = None) -> FastAPI:
    """The REST API below /api/v2. Call it as ASGI application; it needs no lifespan.

    `webhook`: takes GitHub's deliveries; without one there is nothing at its path.
    """
    app = FastAPI(
        title="Signadot relay",
        version=__version__,
        description="Clusters, workspaces and credentials of a relay. Errors all have one shape, `ErrorAnswer`.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    add_error_handlers(app)
    app.add_middleware(AnswerUnexpected)
    api = APIRouter(prefix=PREFIX)
    for module in (orgs, clusters, tokens, workspaces, api_keys, events):
        api.include_router(module.router)
    app.include_router(api)
    if webhook is not None:
        app.router.routes.append(Route(WEBHOOK_PATH, webhook, methods=["POST"], include_in_schema=False))
    return app
