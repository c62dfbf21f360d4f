"""Who is asking, and where does it go: decided before anything is sent to a cluster."""

from dataclasses import dataclass
from typing import Protocol

from relay.auth import Action, Membership, Principal, permits
from relay.errors import ClusterOfflineError, ForbiddenError, NotFoundError, UnauthenticatedError
from relay.http1 import RequestHead
from relay.ingress.headers import target_host
from relay.ingress.pool import PoolKey
from relay.ingress.settings import ClusterStatus
from relay.routing import PreviewHost, Route, RouteTable, parse_preview_host
from relay.store import Cluster, Org

API_KEY_HEADER = b"signadot-api-key"
ADMITTED_SECONDS = 60.0  # a key in use is noted in the store at least this often
SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE"})  # RFC 9110 9.2.1


class Directory(Protocol):
    """Look-ups that ingress needs; a `*_nowait` answers from the cache or gives None."""

    @property
    def generation(self) -> int:
        """Grows with every change of a credential or a route that the directory hears of."""

    def principal_nowait(self, api_key: str) -> Principal | None:
        """The principal of a key that was seen lately."""

    async def principal(self, api_key: str) -> Principal:
        """The principal of a key. Raises UnauthenticatedError."""

    def routes_nowait(self, org_id: str, workspace: str) -> RouteTable | None:
        """The routes of a workspace that was asked for lately."""

    async def routes(self, org_id: str, workspace: str) -> RouteTable | None:
        """The routes of a workspace, None where there is no such workspace."""

    async def org(self, name: str) -> Org | None:
        """The org of that name."""

    async def cluster(self, org_id: str, name: str) -> Cluster | None:
        """The org's cluster of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that may go on, and further ones of its connection that ask the same with the same credential."""

    route: Route
    principal: Principal | None
    """None for a public endpoint."""
    api_key: bytes | None
    """The credential that opened the route; None where it is open without, and then every request is decided anew."""
    host: str
    generation: int
    """Of the directory, when the decision began; any change makes it count for nothing."""
    until: float
    """On the clock of the connections' deadlines."""
    pool_key: PoolKey
    target_host: bytes | None
    """Host as the target sees it; None for the visitor's own."""

    def covers(self, head: RequestHead, generation: int, now: float) -> bool:
        """Whether a further request of the same connection is admitted by this decision."""
        return (
            self.api_key is not None
            and head.fields.get(API_KEY_HEADER) == self.api_key
            and head.host == self.host
            and self.generation == generation
            and now < self.until
        )


class Admission:
    """Decides about preview requests and CONNECT."""

    def __init__(self, directory: Directory, preview_domain: str) -> None:
        self._directory = directory
        self._domain = preview_domain

    async def preview(self, head: RequestHead, earlier: Admitted | None, now: float) -> Admitted:
        """Authenticates first, then looks the host up among the principal's orgs.

        `earlier` is the connection's last decision. Raises UnauthenticatedError, ForbiddenError or NotFoundError.
        """
        generation = self._directory.generation
        if earlier is not None and earlier.covers(head, generation, now):
            _check_origin(head, earlier.route)
            return earlier
        api_key = head.get(API_KEY_HEADER)
        if api_key is None:
            principal, route = None, await self._without_credential(head)
        else:
            principal = await self._principal(api_key)
            route = await self._route(head, principal)
            _check_origin(head, route)
            if not any(membership.org_id == route.org_id for membership in principal.memberships):
                api_key = None  # a preflight, or public: this request was let through, the credential was not
        return Admitted(
            route=route,
            principal=principal,
            api_key=api_key,
            host=head.host,
            generation=generation,
            until=now + ADMITTED_SECONDS,
            pool_key=PoolKey(route.cluster_id, route.routing_key, route.target_host, route.target_port),
            target_host=target_host(route),
        )

    async def connect(self, head: RequestHead) -> tuple[Principal, Cluster]:
        """Authenticates a CONNECT and finds the cluster it names. Raises as `preview` does."""
        scheme, _, api_key = (head.get(b"proxy-authorization") or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not api_key.strip():
            raise UnauthenticatedError("CONNECT needs the header `Proxy-Authorization: Bearer <API key>`.")
        principal = await self._principal(api_key.strip())
        cluster = (head.get(b"signadot-cluster") or b"").decode("latin-1")
        if not cluster:
            raise NotFoundError("CONNECT needs the header `signadot-cluster: <cluster>`.")
        for membership in principal.memberships:
            found = await self._directory.cluster(membership.org_id, cluster)
            if found is not None:
                _require(membership, Action.CONNECT)
                return principal, found
        raise NotFoundError(f"There is no cluster {cluster!r} in your organisation.")

    async def offline(self, org_id: str, name: str, status: ClusterStatus) -> ClusterOfflineError:
        """What to raise for a cluster without live tunnel; the store remembers what this process has not seen."""
        since = status.since
        if since is None:
            cluster = await self._directory.cluster(org_id, name)
            since = None if cluster is None else cluster.last_seen_at
        return ClusterOfflineError(f"The cluster {name} has no live tunnel.", since=since)

    async def _principal(self, api_key: bytes) -> Principal:
        text = api_key.decode("latin-1")
        return self._directory.principal_nowait(text) or await self._directory.principal(text)

    async def _route(self, head: RequestHead, principal: Principal) -> Route:
        host = parse_preview_host(head.host, self._domain)
        for membership in principal.memberships:
            if host.org is not None and membership.org != host.org:
                continue
            found = await self._lookup(membership.org_id, host)
            if found is not None:
                _require(membership, Action.VISIT_PREVIEWS)
                return found
        if (open_to_all := await self._open_to_all(head, host)) is not None:
            return open_to_all
        if host.org is not None and principal.membership(host.org) is None:
            raise ForbiddenError(f"Your credential does not belong to the organisation {host.org!r}.")
        raise _nothing_there(host)

    async def _lookup(self, org_id: str, host: PreviewHost) -> Route | None:
        table = self._directory.routes_nowait(org_id, host.workspace)
        if table is None:
            table = await self._directory.routes(org_id, host.workspace)
        return None if table is None else table.lookup(host.endpoint)

    async def _without_credential(self, head: RequestHead) -> Route:
        """A route that is open to all. Everything else is refused alike, whether the preview exists or not."""
        try:
            route = await self._open_to_all(head, parse_preview_host(head.host, self._domain))
        except NotFoundError:
            route = None
        if route is None:
            raise UnauthenticatedError(
                "This preview needs a credential: send the header `signadot-api-key: <API key>`."
            )
        return route

    async def _open_to_all(self, head: RequestHead, host: PreviewHost) -> Route | None:
        """The route of a public endpoint, or of one that passes this preflight.

        Only a hostname that names the org tells which: two orgs may use one short name.
        """
        org = None if host.org is None else await self._directory.org(host.org)
        route = None if org is None else await self._lookup(org.id, host)
        if route is not None and (route.visibility == "public" or (is_preflight(head) and route.preflight == "pass")):
            return route
        return None


def is_preflight(head: RequestHead) -> bool:
    """A CORS preflight as the Fetch standard defines it."""
    return (
        head.method == b"OPTIONS"
        and head.get(b"origin") is not None
        and head.get(b"access-control-request-method") is not None
    )


def _require(membership: Membership, action: Action) -> None:
    if not permits(membership.role, action):
        raise ForbiddenError(f"The role {membership.role.value} in {membership.org} may not {action.value}.")


def _check_origin(head: RequestHead, route: Route) -> None:
    """Previews run untrusted code beside each other: what a sibling's page sends must not act here.

    Raises ForbiddenError for a WebSocket from another origin and for a state-changing request that a browser marks
    as coming from another site's or a sibling's page.
    """
    origin = head.get(b"origin")
    if origin is not None and origin.decode("latin-1") in route.allowed_origins:
        return
    if head.upgrade == b"websocket":
        if origin is not None and origin != b"https://" + (head.get(b"host") or b""):
            raise ForbiddenError("A WebSocket to a preview must come from the preview's own origin.")
        return
    site = head.get(b"sec-fetch-site")
    if (
        site in {b"same-site", b"cross-site"}
        and head.method not in SAFE_METHODS
        and head.get(b"sec-fetch-mode") != b"navigate"
    ):
        raise ForbiddenError("This request comes from a page of another site.")


def _nothing_there(host: PreviewHost) -> NotFoundError:
    return NotFoundError(
        f"There is no endpoint {host.endpoint!r} of a workspace {host.workspace!r} in your organisation."
    )
