"""Single requests, with TLS or without, to a name that stands for loopback; for setting peers up, not for load."""

import http
import http.client
import socket
import ssl
from urllib.parse import urlsplit

from benchmarks.processes import LOOPBACK
from benchmarks.visit import Visit

TIMEOUT_SECONDS = 10.0


class _Connection(http.client.HTTPConnection):
    """Connects to loopback whatever its host is; names below `localhost` are not in every resolver."""

    def __init__(self, visit: Visit) -> None:
        self._tls = ssl.create_default_context(cafile=visit.ca_file) if visit.secure else None
        super().__init__(visit.host, visit.port, timeout=TIMEOUT_SECONDS)

    def connect(self) -> None:
        plain = socket.create_connection((LOOPBACK, self.port), timeout=TIMEOUT_SECONDS)
        self.sock = plain if self._tls is None else self._tls.wrap_socket(plain, server_hostname=self.host)


def https_request(visit: Visit, *, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """One request on a connection of its own; gives status and body. Raises OSError."""
    connection = _Connection(visit)
    parts = urlsplit(visit.url)
    try:
        connection.request(method, parts.path, body=body, headers=dict(visit.headers))
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{visit.url}: {error!r}") from error
    finally:
        connection.close()


def answers(visit: Visit) -> bool:
    """Whether a GET is answered with 200 now."""
    try:
        return https_request(visit)[0] == http.HTTPStatus.OK
    except OSError:
        return False
