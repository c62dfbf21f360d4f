"""A process with few file descriptors that serves TLS: echoes one message per connection.

Prints its port and the certificate of its authority.
"""

import resource
import sys
from pathlib import Path

import structlog
import trio

from relay.transport import TlsStream, listen, serve_tls
from tests.transport.pair import authority, server_context

SPARE_DESCRIPTORS = 8


async def echo(stream: TlsStream) -> None:
    await stream.send_all(await stream.receive_some())


def leave_few_descriptors() -> None:
    limit = sum(1 for _ in Path("/proc/self/fd").iterdir()) + SPARE_DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


async def main() -> None:
    listeners = listen("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        server_context()
        await nursery.start(serve_tls, listeners, server_context, echo)
        leave_few_descriptors()
        sys.stdout.write(f"{listeners[0].getsockname()[1]}\n{authority().cert_pem.bytes().decode()}")
        sys.stdout.flush()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    trio.run(main)
