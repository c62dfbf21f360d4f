"""Who is asking, and where does it go: decided before anything is sent to a cluster."""

from dataclasses import dataclass
from typing import Protocol

from relay.auth import Action, Membership, Principal, PrincipalKind, permits
from relay.errors import ClusterOfflineError, ForbiddenError, NotFoundError, UnauthenticatedError
from relay.http1 import RequestHead
from relay.ingress.ambient import check_cookie, check_key, is_navigation, is_preflight
from relay.ingress.errors import SignInNeededError
from relay.ingress.headers import target_host
from relay.ingress.login import PreviewLogins, Session
from relay.ingress.pool import PoolKey
from relay.ingress.settings import ClusterStatus
from relay.routing import PreviewHost, Route, RouteTable, parse_preview_host
from relay.store import Cluster, Org
from relay.telemetry import access_context

API_KEY_HEADER = b"signadot-api-key"
ADMITTED_SECONDS = 60.0  # a key in use is noted in the store at least this often


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
    """The API key that opened the route; None where it was none."""
    cookies: tuple[bytes, ...]
    """The Cookie lines whose login opened the route; empty where it was none."""
    host: str
    generation: int
    """Of the directory, when the decision began; any change makes it count for nothing."""
    until: float
    """On the clock of the connections' deadlines; past already where it holds for this request alone."""
    pool_key: PoolKey
    target_host: bytes | None
    """Host as the target sees it; None for the visitor's own."""
    context: str
    """For the access log."""
    set_cookie: bytes = b""
    """A header line for the answers, with a fresh cookie; mostly empty."""

    def covers(self, head: RequestHead, generation: int, now: float) -> bool:
        """Whether a further request of the same connection is admitted by this decision."""
        return self.holds(generation, now) and self._has_credential_of(head) and head.host == self.host

    def holds(self, generation: int, now: float) -> bool:
        """Whether it still counts for a request that differs from an admitted one in its target alone."""
        return self.generation == generation and now < self.until

    def _has_credential_of(self, head: RequestHead) -> bool:
        key = head.fields.get(API_KEY_HEADER)
        if key is not None:
            return key == self.api_key
        return bool(self.cookies) and head.cookies == self.cookies

    def check(self, head: RequestHead) -> None:
        """Raises ForbiddenError where another page sends a request that this decision covers."""
        if self.cookies:
            check_cookie(head, self.route)
        else:
            check_key(head, self.route)


class Admission:
    """Decides about preview requests and CONNECT.

    Args:
        directory: look-ups of keys, routes and clusters.
        preview_domain: previews are one label below it.
        logins: who is behind a browser's cookie.
        login_seconds: how long a decision about a login may hold on a connection before its memberships are looked
            at again.
    """

    def __init__(
        self,
        directory: Directory,
        preview_domain: str,
        logins: PreviewLogins,
        *,
        login_seconds: float = ADMITTED_SECONDS,
    ) -> None:
        self.logins = logins
        self._directory = directory
        self._domain = preview_domain
        self._login_seconds = min(login_seconds, ADMITTED_SECONDS)

    @property
    def generation(self) -> int:
        """Grows with every change that may make a decision count for nothing."""
        return self._directory.generation

    async def preview(self, head: RequestHead, earlier: Admitted | None, now: float) -> Admitted:
        """Authenticates first, then looks the host up among the principal's orgs.

        `earlier` is the connection's last decision. Raises UnauthenticatedError, SignInNeededError for a person
        without credential, ForbiddenError or NotFoundError.
        """
        generation = self._directory.generation
        if earlier is not None and earlier.covers(head, generation, now):
            earlier.check(head)
            return earlier
        api_key = head.get(API_KEY_HEADER)
        if api_key is not None:
            return await self._by_key(head, api_key, generation=generation, now=now)
        session = await self.logins.session(head)
        if session is not None:
            return await self._by_login(head, session, generation=generation, now=now)
        return _admitted(head, await self._without_credential(head), None, generation=generation, until=now)

    async def _by_key(self, head: RequestHead, api_key: bytes, *, generation: int, now: float) -> Admitted:
        principal = await self._principal(api_key)
        route = await self._route(head, principal)
        check_key(head, route)
        # Otherwise a preflight, or public: this request was let through, the credential was not.
        opened = api_key if _belongs(principal, route) else None
        until = now + ADMITTED_SECONDS if opened is not None else now
        return _admitted(head, route, principal, generation=generation, until=until, api_key=opened)

    async def _by_login(self, head: RequestHead, session: Session, *, generation: int, now: float) -> Admitted:
        principal = session.principal
        route = await self._route(head, principal)
        try:
            check_cookie(head, route)
        except ForbiddenError:
            # The cookie counts for nothing then; what is open to all stays so.
            open_to_all = await self._open_to_all(head, parse_preview_host(head.host, self._domain))
            if open_to_all is None:
                raise
            return _admitted(head, open_to_all, None, generation=generation, until=now)
        opened = _belongs(principal, route)
        return _admitted(
            head,
            route,
            principal,
            generation=generation,
            until=now + min(self._login_seconds, session.good_for_seconds) if opened else now,
            cookies=session.cookies if opened else (),
            set_cookie=session.set_cookie,
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
        who = "Your credential"
        if principal.kind is PrincipalKind.LOGIN:
            who = f"You are signed in as {principal.name}, who"
            if not principal.memberships:
                raise ForbiddenError(f"{who} does not belong to any organisation here.")
        if host.org is not None and principal.membership(host.org) is None:
            raise ForbiddenError(f"{who} does not belong to the organisation {host.org!r}.")
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
        if route is None and is_navigation(head):
            raise SignInNeededError(self.logins.sign_in(head))
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


def _admitted(
    head: RequestHead,
    route: Route,
    principal: Principal | None,
    *,
    generation: int,
    until: float,
    api_key: bytes | None = None,
    cookies: tuple[bytes, ...] = (),
    set_cookie: bytes = b"",
) -> Admitted:
    return Admitted(
        route=route,
        principal=principal,
        api_key=api_key,
        cookies=cookies,
        host=head.host,
        generation=generation,
        until=until,
        pool_key=PoolKey(route.cluster_id, route.routing_key, route.target_host, route.target_port),
        target_host=target_host(route),
        context=access_context(
            host=head.host,
            org=route.org_id,
            cluster=route.cluster_id,
            workspace=route.routing_key,
            credential="" if principal is None else principal.credential_id,
        ),
        set_cookie=set_cookie,
    )


def _belongs(principal: Principal, route: Route) -> bool:
    return any(membership.org_id == route.org_id for membership in principal.memberships)


def _require(membership: Membership, action: Action) -> None:
    if not permits(membership.role, action):
        raise ForbiddenError(f"The role {membership.role.value} in {membership.org} may not {action.value}.")


def _nothing_there(host: PreviewHost) -> NotFoundError:
    return NotFoundError(
        f"There is no endpoint {host.endpoint!r} of a workspace {host.workspace!r} in your organisation."
    )
