"""Holds many idle tunnels open from one process: `python -m benchmarks.hold --help`.

With a token file they are tunnels, each a session that logs in and answers pings; without one they are TLS connections
that stay silent. Prints `up SECONDS CPU_SECONDS` once all are there and stays until it is ended.
"""

import argparse
import ssl
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import trio

from benchmarks.processes import LOOPBACK
from certs import TUNNEL_ALPN
from relay.mux import Hello, Role, Session, WelcomeReceived

AT_ONCE = 32
"""Handshakes under way: a fleet that comes back does not come one by one."""
READ_BYTES = 4096


class Holder:
    """What all tunnels of one process share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._port: int = options.port
        self._host: str = options.host
        token_file: Path | None = options.token_file
        self._token = token_file.read_text().strip() if token_file is not None else None
        self._context = ssl.create_default_context(cafile=options.ca_file)
        self._context.set_alpn_protocols([TUNNEL_ALPN] if self._token else ["http/1.1"])
        self._handshakes = trio.CapacityLimiter(AT_ONCE)

    async def hold(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """One tunnel: started when it is up, runs until cancelled."""
        async with self._handshakes:
            plain = await trio.open_tcp_stream(LOOPBACK, self._port)
            stream = trio.SSLStream(plain, self._context, server_hostname=self._host, https_compatible=True)
            await stream.do_handshake()
        if self._token is None:
            task_status.started()
            await trio.sleep_forever()
        else:
            await self._serve(stream, self._token, task_status)

    async def _serve(
        self, stream: "trio.SSLStream[trio.SocketStream]", token: str, task_status: trio.TaskStatus[None]
    ) -> None:
        hello = Hello(agent_version="benchmark", token=token, instance_id=uuid.uuid4().hex)
        session = Session(Role.AGENT, now=trio.current_time(), hello=hello)
        while True:
            while session.has_bytes_to_send:
                await stream.send_all(session.bytes_to_send())
            deadline = session.next_deadline()
            data: bytes | bytearray | None = None
            with trio.move_on_at(trio.current_time() + 3600 if deadline is None else deadline):
                data = await stream.receive_some(READ_BYTES)
            if data is None:
                session.handle_deadline(trio.current_time())
                continue
            if not data:
                raise SystemExit("the relay closed a tunnel")
            session.receive_bytes(data, trio.current_time())
            while (event := session.next_event()) is not None:
                if isinstance(event, WelcomeReceived):
                    task_status.started()


async def hold_all(options: argparse.Namespace) -> None:
    """Opens `--count`, says so, stays."""
    holder = Holder(options)
    started, spent = trio.current_time(), time.process_time()
    async with trio.open_nursery() as tunnels:
        async with trio.open_nursery() as opening:
            for _ in range(options.count):
                opening.start_soon(tunnels.start, holder.hold)
        sys.stdout.write(f"up {trio.current_time() - started:.3f} {time.process_time() - spent:.3f}\n")
        sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs until ended by a signal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hold", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True, help="SNI and the name on the certificate")
    parser.add_argument("--ca-file", required=True)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--count", type=int, required=True)
    trio.run(hold_all, parser.parse_args(arguments))


if __name__ == "__main__":
    main()
