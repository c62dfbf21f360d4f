"""The relay's own paths on preview hosts, which never reach a target: the way back from the sign-in page."""

from relay.errors import NotFoundError
from relay.http1 import RequestHead
from relay.ingress.connection import VisitorConnection
from relay.ingress.settings import RESERVED_PATHS
from relay.ingress.streams import InFlight

SIGN_IN_PATH = b"/.signadot/login"


async def serve_own_path(connection: VisitorConnection, head: RequestHead) -> bool:
    """Answers a request below RESERVED_PATHS. True when the connection may carry another.

    Raises RelayError for what is to be refused.
    """
    if head.target.partition(b"?")[0] != SIGN_IN_PATH:
        raise NotFoundError(f"There is nothing here: the relay keeps the paths below {RESERVED_PATHS.decode()}.")
    shared = connection.shared
    limit = connection.limits.public_requests_per_address
    with InFlight(shared.strangers, connection.peer, limit, "Your address"):
        redirect = await shared.admission.logins.hand_over(head)
    return await connection.redirect(head, redirect)
