"""Switches that make requests fail."""

from tests.support.fake_kubernetes.wire import Object, Refusal, Reply, failure
from tests.support.troubles import Switches, Trouble

_MESSAGES = {
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    500: ("InternalError", "Internal error occurred: etcdserver: request timed out"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}


class Troubles(Switches[Reply]):
    """The switches of the API server."""

    def error(
        self,
        status: int = 503,
        *,
        retry_after: int | None = None,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble[Reply]:
        """A Status of the API server's own; with `retry_after` seconds also where clients look for them."""
        reason, message = _MESSAGES.get(status, ("InternalError", f"the server answers {status}"))
        details: Object = {} if retry_after is None else {"retryAfterSeconds": retry_after}
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        refusal = Refusal(failure(status, reason, message, details), headers)
        return self.add(refusal.reply, times=times, path=path, method=method, after=after)

    def answer(
        self,
        reply: Reply,
        *,
        times: int | None = 1,
        path: str | None = None,
        method: str | None = None,
        after: bool = False,
    ) -> Trouble[Reply]:
        """Any answer at all."""
        return self.add(lambda: reply, times=times, path=path, method=method, after=after)
