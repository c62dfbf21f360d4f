"""What the requests of one connection repeat, made once.

Clients mostly send the same header lines with each request of a connection, and targets answer with the same head
while a second lasts. The last one of each is kept with what was made of it, and compared to the byte.
"""

from relay.http1 import RequestHead, ResponseHead, has_traceparent, request_rest, request_start, response_parts
from relay.ingress.admission import Admitted
from relay.ingress.headers import dropped_names, fixed_headers, trace_line


class Repetition:
    """The last heads of one connection."""

    __slots__ = ("_answer", "_parts", "_rest", "_rest_of", "_traced", "request", "response")

    def __init__(self) -> None:
        self.request: RequestHead | None = None
        """The last request's, for `read_request_head`."""
        self.response: ResponseHead | None = None
        """The last answer's, for `read_response_head`."""
        self._rest_of: tuple[dict[bytes, bytes], Admitted] | None = None
        self._rest = b""
        self._traced = False
        self._answer: tuple[ResponseHead, tuple[int, int], str, bool] | None = None
        self._parts = (b"", b"")

    def admitted(self, head: RequestHead, generation: int, now: float) -> Admitted | None:
        """The decision about the last request, where this one differs from it in its target alone."""
        known = self._rest_of
        if known is not None and known[0] is head.fields and known[1].holds(generation, now):
            return known[1]
        return None

    def request_bytes(self, head: RequestHead, admitted: Admitted, *, peer: str, request_id: str) -> bytes:
        """The whole head as the target gets it."""
        known = self._rest_of
        if known is None or known[0] is not head.fields or known[1] is not admitted:
            route = admitted.route
            fixed = fixed_headers(head, route, peer=peer)
            self._rest = request_rest(head, set_headers=fixed, drop_names=dropped_names(head, route))
            self._traced = has_traceparent(head)
            self._rest_of = (head.fields, admitted)
        start = request_start(head, admitted.target_host or head.fields[b"host"])
        trace = b"" if self._traced else trace_line()
        return b"%bx-request-id: %b\r\n%b%b" % (start, request_id.encode(), trace, self._rest)

    def response_bytes(
        self, response: ResponseHead, head: RequestHead, *, keep_alive: bool, set_headers: bytes
    ) -> bytes:
        """The whole head of an answer as the visitor gets it; `head` is the request's."""
        known = self._answer
        if (
            known is None
            or known[0] is not response
            or known[1] != head.version
            or known[2] != head.host
            or known[3] is not keep_alive
        ):
            self._parts = response_parts(response, request=head, keep_alive=keep_alive)
            self._answer = (response, head.version, head.host, keep_alive)
        before, after = self._parts
        return before + set_headers + after
