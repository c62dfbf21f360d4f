"""The way of a call: troubles, credentials, rate limits, endpoint, log."""

import uuid
from dataclasses import dataclass, replace

from tests.support.fake_github import app_endpoints, endpoints
from tests.support.fake_github.credentials import Caller, authenticate
from tests.support.fake_github.limits import RateLimits
from tests.support.fake_github.oauth import ACCESS_TOKEN, AUTHORIZE, OAuth
from tests.support.fake_github.records import Call
from tests.support.fake_github.state import State
from tests.support.fake_github.troubles import Troubles
from tests.support.fake_github.wire import Refusal, Reply, Request, error_reply, refusal

API_VERSIONS = ("2022-11-28", "2026-03-10")
NO_USER_AGENT = (
    "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
    "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required)."
)

app_endpoints.add_to(endpoints.router)


@dataclass(slots=True)
class Gateway:
    """Answers requests."""

    state: State
    oauth: OAuth
    troubles: Troubles
    limits: RateLimits
    api_prefix: str

    def handle(self, request: Request) -> Reply | None:
        """The answer; None where the connection is to end without one."""
        is_api = request.path.startswith(f"{self.api_prefix}/") and request.path not in {AUTHORIZE, ACCESS_TOKEN}
        if is_api:
            request = replace(request, path=request.path.removeprefix(self.api_prefix))
        released = self.troubles.released
        trouble = self.troubles.take(request)
        caller, reply, told = Caller(kind="none"), None, dict[str, str]()
        if trouble is None or trouble.after:
            caller, reply, told = self._api(request) if is_api else (caller, self._web(request), told)
        if trouble is not None:
            reply = None if trouble.answer is None else trouble.answer()
        if reply is not None:
            more = {"x-github-request-id": str(uuid.uuid4())} | told
            reply = replace(reply, headers=more | dict(reply.headers))
        self._log(request, caller, reply)
        if trouble is not None and trouble.hang:
            released.wait()
        return reply

    def _api(self, request: Request) -> tuple[Caller, Reply, dict[str, str]]:
        caller = Caller(kind="bad")
        with self.state.lock:
            refused: Refusal | None = None
            try:
                caller = authenticate(self.state, request.headers.get("authorization"))
            except Refusal as error:
                refused = error
            within, told = self.limits.count(caller.key)
            try:
                if not request.headers.get("user-agent"):
                    raise refusal(403, NO_USER_AGENT)
                if request.headers.get("x-github-api-version", API_VERSIONS[0]) not in API_VERSIONS:
                    raise refusal(400, "The requested API version is not supported.")
                if refused is not None:
                    raise refused
                if not within:
                    raise refusal(403, f"API rate limit exceeded for {caller.key}.")
                return caller, endpoints.router.answer(self.state, request, caller), told
            except Refusal as error:
                return caller, error.reply, told

    def _web(self, request: Request) -> Reply:
        try:
            if request.path == AUTHORIZE and request.method in {"GET", "POST"}:
                return self.oauth.authorize(request)
            if request.path == ACCESS_TOKEN and request.method == "POST":
                return self.oauth.access_token(request)
        except Refusal as error:
            return error.reply
        return error_reply(404, "Not Found")

    def _log(self, request: Request, caller: Caller, reply: Reply | None) -> None:
        self.state.record_call(
            Call(
                at=self.state.clock.now(),
                method=request.method,
                path=request.path,
                auth=caller.kind,
                owner_id=None if caller.token is None else caller.token.owner_id,
                status=0 if reply is None else reply.status,
                headers={name: value for name, value in request.headers.items() if name != "authorization"},
                query=request.query,
                body=request.body,
            )
        )
