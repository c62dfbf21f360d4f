"""Asks previews on kept-alive connections: `python -m benchmarks.visitors --help`.

No load generator in Debian asks for another host with each request of a connection; this one does, on connections
without SNI. With `--seconds` every connection asks for one host after the other, each picked at random, as fast as it
is answered, and at the end a line of JSON is printed: `requests`, `failed`, `seconds`. With `--pause` each connection
has its own host, asks again and again with a pause between, on a new connection where the old one failed, and prints
`NUMBER TIME` for each good answer, on the clock that all processes of the machine share.
"""

import argparse
import json
import random
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import trio

from benchmarks.processes import LOOPBACK

READ_BYTES = 65536
PATIENCE_SECONDS = 5.0
"""For a connection, and for an answer: a person would reload after less."""
GOOD = b"HTTP/1.1 200 "
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = b"content-length: "


class Visitor:
    """One connection at a time to a relay; any of its preview hosts may be asked over it."""

    def __init__(self, options: argparse.Namespace, place: dict[str, object]) -> None:
        self._port = int(str(place["port"]))
        self._key = str(place["api_key"])
        # Without SNI there is no name to compare; that the authority is ours is checked all the same.
        self._context = ssl.create_default_context(cafile=options.ca_file)
        self._context.check_hostname = False
        self._stream: trio.SSLStream[trio.SocketStream] | None = None

    async def ask(self, host: str) -> bool:
        """One request; whether the answer was 200. After a failure the next one has a new connection."""
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                stream = self._stream = self._stream or await self._connect()
                head = f"GET /small HTTP/1.1\r\nhost: {host}:{self._port}\r\nsignadot-api-key: {self._key}\r\n\r\n"
                await stream.send_all(head.encode())
                return await _answer(stream)
        except (OSError, EOFError, trio.TooSlowError, trio.BrokenResourceError):
            await self.close()
            return False

    async def _connect(self) -> "trio.SSLStream[trio.SocketStream]":
        plain = await trio.open_tcp_stream(LOOPBACK, self._port)
        stream = trio.SSLStream(plain, self._context, https_compatible=True)
        try:
            await stream.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def close(self) -> None:
        """Gives the connection up."""
        if self._stream is not None:
            await trio.aclose_forcefully(self._stream)
            self._stream = None


async def _answer(stream: "trio.SSLStream[trio.SocketStream]") -> bool:
    """Reads one whole answer; those of previews and of the relay itself have a Content-Length. Raises EOFError."""
    seen = b""
    while True:
        head, found, body = seen.partition(END_OF_HEAD)
        if found:
            length = int(head.lower().partition(CONTENT_LENGTH)[2].partition(b"\r\n")[0] or 0)
            if len(body) >= length:
                return head.startswith(GOOD)
        data = await stream.receive_some(READ_BYTES)
        if not data:
            raise EOFError
        seen += data


async def ask_at_random(options: argparse.Namespace, place: dict[str, object], hosts: Sequence[str]) -> None:
    """As much as there can be in `--seconds`."""
    counts = {True: 0, False: 0}
    started = trio.current_time()

    async def go_on() -> None:
        visitor = Visitor(options, place)
        while trio.current_time() < started + options.seconds:
            counts[await visitor.ask(random.choice(hosts))] += 1
        await visitor.close()

    async with trio.open_nursery() as nursery:
        for _ in range(options.connections):
            nursery.start_soon(go_on)
    seconds = trio.current_time() - started
    result = {"requests": counts[True], "failed": counts[False], "seconds": seconds}
    sys.stdout.write(json.dumps(result) + "\n")


async def ask_continually(options: argparse.Namespace, place: dict[str, object], hosts: Sequence[str]) -> None:
    """For ever."""

    async def go_on(number: int) -> None:
        visitor = Visitor(options, place)
        while True:
            if await visitor.ask(hosts[number % len(hosts)]):
                sys.stdout.write(f"{number} {time.monotonic():.3f}\n")
                sys.stdout.flush()
            await trio.sleep(options.pause)

    async with trio.open_nursery() as nursery:
        for number in range(options.connections):
            nursery.start_soon(go_on, number)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs to its end, or until ended by a signal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.visitors", description=__doc__)
    parser.add_argument("--place", type=Path, required=True, help="JSON: port, api_key, hosts")
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--connections", type=int, required=True)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--seconds", type=float)
    how.add_argument("--pause", type=float)
    options = parser.parse_args(arguments)
    place = json.loads(options.place.read_text())
    trio.run(ask_at_random if options.pause is None else ask_continually, options, place, place["hosts"])


if __name__ == "__main__":
    main()
