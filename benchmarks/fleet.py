"""Runs the agents of many clusters in one process: `python -m benchmarks.fleet --help`.

Links, logins, waits and streams are the agent's own code; what a process has beside them (health, Kubernetes, signals)
is left out. Prints a line of JSON whenever something has changed: `at`, on the clock that all processes of the machine
share, and `live`, how many agents have a tunnel to which process of the relay. Stays until it is ended.
"""

import argparse
import gc
import itertools
import json
import logging
import secrets
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog
import trio

from benchmarks.processes import LOOPBACK
from client import __version__
from client.backoff import Backoff
from client.kubernetes.settings import KubernetesFlags
from client.link import Link
from client.login import RelayLogin
from client.relays import CONNECT_SECONDS, RelayDialler
from client.serve import StreamServer
from client.settings import Endpoint, Flags, Settings, load_settings
from client.status import Metrics
from client.targets import Dialler
from client.token import TokenChanges, WatchedToken
from relay.mux import Welcome
from relay.transport import TlsStream
from relay.transport.sockets import configure
from relay.transport.tls_stream import start_tls

LOOK_SECONDS = 0.1
"""Between two counts: what a time until all are back may be wrong by."""
SOURCES = 250
"""Addresses that one process dials from: 127.1.NUMBER.1 and on."""


class SpreadDialler(RelayDialler):
    """Dials from many addresses, as clusters do: a relay bounds the handshakes of each."""

    def __init__(self, settings: Settings, *, number: int) -> None:
        super().__init__(settings)
        self._sources = itertools.cycle([f"127.1.{number}.{last}" for last in range(1, SOURCES + 1)])

    async def _handshake(self, address: Endpoint, alpn: str) -> TlsStream:
        self._context.set_alpn_protocols([alpn])
        try:
            with trio.fail_after(CONNECT_SECONDS):
                plain = await trio.open_tcp_stream(LOOPBACK, address.port, local_address=next(self._sources))
                connection = socket.socket(fileno=plain.socket.detach())
                connection.settimeout(0)
                configure(connection)
                peer = (LOOPBACK, address.port)
                return await start_tls(connection, self._context, peer, self._settings.relay.host)
        except trio.TooSlowError:
            raise TimeoutError("it did not answer in time") from None


class Fleet:
    """The agents of one process, as far as they are alike."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._tokens = [options.tokens / str(options.first + number) for number in range(options.count)]
        flags = Flags(
            relay=options.relay,
            token_file=str(self._tokens[0]),
            ca_file=str(options.ca_file),
            allow_targets=["127.0.0.1:*"],
            kubernetes=KubernetesFlags(mode="off"),
        )
        self._settings = load_settings(flags, {})
        self._dialler = SpreadDialler(self._settings, number=options.number)
        self._metrics = Metrics(__version__)
        self._streams = StreamServer(Dialler(self._settings.policy), self._metrics)
        self._random = secrets.SystemRandom().random
        self._links: list[Link] = []
        self._reached: dict[Link, str] = {}

    async def run(self) -> None:
        """Keeps all tunnels up until cancelled."""
        async with trio.open_nursery() as nursery:
            for path in self._tokens:
                nursery.start_soon(self._link(path, nursery).run)
            await self._report()

    def _link(self, path: Path, nursery: trio.Nursery) -> Link:
        token = WatchedToken(path)
        login = RelayLogin(
            nursery,
            dialler=self._dialler,
            token=token,
            streams=self._streams,
            metrics=self._metrics,
            instance_id=f"fleet-{secrets.token_hex(8)}",
        )
        link = Link(
            self._settings.relay,
            login=login,
            backoff=Backoff(random=self._random),
            token_changes=TokenChanges(token),
            on_welcome=self._welcomed,
        )
        self._links.append(link)
        return link

    def _welcomed(self, link: Link, welcome: Welcome) -> None:
        self._reached[link] = welcome.relay_process_id

    async def _report(self) -> None:
        said: Counter[str] | None = None
        while True:
            live = Counter(process for link, process in self._reached.items() if link.status.is_ready)
            if live != said:
                sys.stdout.write(json.dumps({"at": time.monotonic(), "live": live}) + "\n")
                sys.stdout.flush()
                said = live
            await trio.sleep(LOOK_SECONDS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until ended by a signal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--relay", required=True, metavar="HOST:PORT")
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument(
        "--tokens", type=Path, required=True, help="folder with a file for each agent's token: 0, 1, ..."
    )
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--number", type=int, default=0, help="of this process: which addresses it dials from")
    # A line for each failed login of thousands of agents would be most of what this process does.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    fleet = Fleet(parser.parse_args(arguments))
    gc.freeze()
    trio.run(fleet.run)


if __name__ == "__main__":
    main()
