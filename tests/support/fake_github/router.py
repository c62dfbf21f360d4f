"""Which endpoints there are, who may call them, and with which permission."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlencode

from tests.support.fake_github.credentials import Caller
from tests.support.fake_github.records import CallerKind
from tests.support.fake_github.state import State
from tests.support.fake_github.wire import (
    Refusal,
    Reply,
    Request,
    json_reply,
    not_accessible,
    not_found,
    refusal,
)

LEVELS = {"read": 1, "write": 2}
PER_PAGE, MOST_PER_PAGE = 30, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One call to an endpoint."""

    state: State
    request: Request
    caller: Caller
    words: dict[str, str]
    """What stands in the path, decoded."""


Endpoint = Callable[[Ask], Reply]


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    callers: frozenset[CallerKind]
    permission: tuple[str, str] | None
    endpoint: Endpoint


@dataclass(slots=True)
class Router:
    """A table of endpoints."""

    routes: list[_Route] = field(default_factory=list)

    def add(
        self, method: str, template: str, callers: set[CallerKind], permission: tuple[str, str] | None = None
    ) -> Callable[[Endpoint], Endpoint]:
        """Registers an endpoint; `{name}` in the template is one path segment."""
        pattern = re.compile(re.sub(r"\{([a-z]+)\}", r"(?P<\1>[^/]+)", template), re.IGNORECASE)

        def keep(endpoint: Endpoint) -> Endpoint:
            self.routes.append(_Route(method, pattern, frozenset(callers), permission, endpoint))
            return endpoint

        return keep

    def answer(self, state: State, request: Request, caller: Caller) -> Reply:
        """Calls the endpoint, the state's lock being held. Raises Refusal."""
        if _suspended(state, caller):
            raise refusal(403, "This installation has been suspended")
        request = replace(request, path=_named(state, request.path))
        for route in self.routes:
            match = route.pattern.fullmatch(request.path)
            if match is None or route.method != request.method:
                continue
            if caller.kind not in route.callers:
                raise _wrong_caller(caller, route.callers)
            if route.permission is not None and caller.token is not None:
                _require(caller.token.permissions.get(route.permission[0]), route.permission[1])
            words = {name: unquote(value) for name, value in match.groupdict().items()}
            return route.endpoint(Ask(state=state, request=request, caller=caller, words=words))
        if caller.kind == "none":
            raise refusal(401, "Requires authentication")
        raise not_found() if caller.kind == "app" else not_accessible()


def page(ask: Ask, items: list[object]) -> Reply:
    """One page of a list, with a Link header."""
    query = ask.request.query
    try:
        size = min(max(int(query.get("per_page", PER_PAGE)), 1), MOST_PER_PAGE)
        number = max(int(query.get("page", 1)), 1)
    except ValueError as error:
        raise refusal(422, "Invalid page or per_page") from error
    last = max(-(-len(items) // size), 1)
    links = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
    told = [
        f'<{ask.state.api_url}{ask.request.path}?{urlencode({**query, "page": to})}>; rel="{name}"'
        for name, to in links.items()
        if (1 <= to <= last and (to > number if name in {"next", "last"} else to < number))
    ]
    chosen = items[(number - 1) * size : number * size]
    return json_reply(200, chosen, {"link": ", ".join(told)} if told else None)


def _suspended(state: State, caller: Caller) -> bool:
    installation = state.installations.get(caller.token.owner_id) if caller.token is not None else None
    return installation is not None and installation.suspended_at is not None


def _named(state: State, path: str) -> str:
    """Repositories have a second path, by id: redirects lead there."""
    match = re.match(r"/repositories/([0-9]+)(?=/|\Z)", path, re.ASCII)
    found = None if match is None else state.repositories.get(int(match[1]))
    if match is None or found is None:
        return path
    return f"/repos/{state.full_name(found)}{path[match.end() :]}"


def _require(granted: str | None, wanted: str) -> None:
    if LEVELS.get(granted or "", 0) < LEVELS[wanted]:
        raise not_accessible()


def _wrong_caller(caller: Caller, callers: frozenset[CallerKind]) -> Refusal:
    if caller.kind == "none":
        return refusal(401, "Requires authentication")
    if "app" in callers:
        return refusal(401, "A JSON web token could not be decoded")
    return refusal(401, "Bad credentials") if caller.kind == "app" else not_accessible()
