"""A relay's end of a tunnel whose other end serves streams of kind `kubernetes`, and the API server behind it."""

import json
from dataclasses import dataclass
from typing import Any

import trio
import trio.testing

from client.kubernetes.api import KubeApi
from client.kubernetes.gateway import Gateway
from client.kubernetes.table import Scope
from client.policy import DialPolicy
from client.serve import StreamServer
from client.status import Metrics
from client.targets import Dialler
from relay.control.kubernetes import ClusterApi
from relay.kubernetes import STREAM_ADDRESS
from relay.mux import Hello, Role, Welcome
from relay.transport import MuxStream, Tunnel
from tests.client.kubernetes.server import ApiServer
from tests.client.network import RecordingNetwork

EVERYTHING = Scope(namespace="signadot", pod_logs=True, previews=True)


@dataclass
class Answered:
    """An answer of the gateway, read to its end."""

    status: int
    head: str
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class World:
    def __init__(self, server: ApiServer, scope: Scope = EVERYTHING) -> None:
        self.server = server
        self.network = RecordingNetwork()
        self.metrics = Metrics("1")
        self.gateway = Gateway(KubeApi(server.cluster), scope, self.metrics)
        self.streams = StreamServer(
            Dialler(DialPolicy(patterns=()), network=self.network),
            self.metrics,
            others={"kubernetes": self.gateway.serve},
        )
        self.relay: Tunnel
        self.agent: Tunnel

    async def start(self, nursery: trio.Nursery) -> None:
        near, far = trio.testing.memory_stream_pair()

        def on_stream(stream: MuxStream) -> None:
            nursery.start_soon(self.streams.serve, stream)

        self.relay = Tunnel(near, Role.RELAY)
        hello = Hello(agent_version="1", token="sdt_x", instance_id="i")
        self.agent = Tunnel(far, Role.AGENT, hello=hello, on_stream=on_stream)
        nursery.start_soon(self.agent.run)
        await nursery.start(self.relay.run)
        self.relay.accept(Welcome(relay_process_id="p", tunnel_id="t"))

    def open(self) -> MuxStream:
        return self.relay.open("kubernetes", *STREAM_ADDRESS)

    async def send(self, request: bytes) -> Answered:
        """What the gateway answers to these bytes; the relay's end finishes behind them, as it may."""
        stream = self.open()
        with trio.fail_after(60):
            await stream.send_all(request)
            await stream.send_eof()
            data = b"".join([piece async for piece in stream])
        await stream.aclose()
        head, _, body = data.partition(b"\r\n\r\n")
        return Answered(int(head.split(b" ", 2)[1]), head.decode(), body)

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> Answered:
        lines = [f"{method} {target} HTTP/1.1", "host: kubernetes.default.svc", *headers]
        return await self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def api(self) -> ClusterApi:
        async def open_stream(cluster_id: str) -> MuxStream:
            await trio.lowlevel.checkpoint()
            return self.open()

        return ClusterApi("c1", open_stream=open_stream, own_namespace=lambda _: "signadot")
