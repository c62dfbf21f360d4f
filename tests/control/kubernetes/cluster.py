"""A cluster in memory, in the time of the test: pods that are watched, and logs that are followed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import trio
import trio.testing

from relay.http1 import response_head
from relay.kubernetes import Answer, ApiRequest, KubernetesClient, KubernetesError, ask

LABELS = {"signadot.com/workspace": "shop", "signadot.com/org": "acme"}


def stamp(seconds: float) -> str:
    moment = datetime.fromtimestamp(int(seconds), UTC).isoformat().removesuffix("+00:00")
    return f"{moment}.{int(seconds % 1 * 1e9):09d}Z"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@dataclass
class Log:
    """What a container wrote in one life."""

    lines: list[tuple[float, bytes]] = field(default_factory=list)
    ended: bool = False


@dataclass
class Call:
    """A request that came."""

    path: str
    query: dict[str, str]
    open: bool = True
    sent_bytes: int = 0


class MemoryCluster(KubernetesClient):
    """What the relay asks of a cluster for logs. Its streams hold nothing: what is sent has been received."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.logs: dict[tuple[str, str], Log] = {}
        self.calls: list[Call] = []
        self.problem: KubernetesError | None = None
        """What is raised instead of an answer."""
        self.start = 1_700_000_000.0
        self._events: list[dict[str, Any]] = []
        self._nursery = nursery
        self._changed = trio.Event()

    # -- what tests do

    def add(self, name: str, *containers: str, labels: dict[str, str] | None = None, namespace: str = "shop") -> None:
        pod = {
            "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels or LABELS},
            "spec": {"containers": [{"name": container} for container in containers]},
            "status": {"phase": "Running", "containerStatuses": [self._status(container) for container in containers]},
        }
        for container in containers:
            self.logs[name, container] = Log()
        self.pods[name] = pod
        self._event("ADDED", pod)

    def restart(self, name: str, container: str) -> None:
        self.logs[name, container].ended = True
        self.logs[name, container] = Log()
        for status in self.pods[name]["status"]["containerStatuses"]:
            if status["name"] == container:
                status["restartCount"] += 1
        self._event("MODIFIED", self.pods[name])

    def wait_to_start(self, name: str, container: str, reason: str) -> None:
        for status in self.pods[name]["status"]["containerStatuses"]:
            if status["name"] == container:
                status["state"] = {"waiting": {"reason": reason}}
        self._event("MODIFIED", self.pods[name])

    def run(self, name: str, container: str) -> None:
        for status in self.pods[name]["status"]["containerStatuses"]:
            if status["name"] == container:
                status["state"] = {"running": {}}
        self._event("MODIFIED", self.pods[name])

    def remove(self, name: str) -> None:
        pod = self.pods.pop(name)
        for (of, _), log in self.logs.items():
            log.ended = log.ended or of == name
        self._event("DELETED", pod)

    def write(self, name: str, container: str, *lines: bytes) -> None:
        self.logs[name, container].lines += [(self.now, line) for line in lines]
        self._signal()

    @property
    def now(self) -> float:
        return self.start + trio.current_time()

    def open_calls(self, suffix: str) -> list[Call]:
        return [call for call in self.calls if call.open and call.path.endswith(suffix)]

    def cut(self, suffix: str) -> None:
        """Connections break."""
        for call in self.open_calls(suffix):
            call.open = False
        self._signal()

    # -- the API

    @asynccontextmanager
    async def exchange(self, request: ApiRequest) -> AsyncIterator[Answer]:
        if self.problem is not None:
            raise self.problem
        near, far = trio.testing.lockstep_stream_pair()
        scope, over = trio.CancelScope(), trio.Event()
        self._nursery.start_soon(self._serve, far, scope, over)
        try:
            yield await ask(near, request.encode(host="api"), request.method)
        finally:
            scope.cancel()
            with trio.CancelScope(shield=True):
                await near.aclose()
                await over.wait()

    async def _serve(self, stream: trio.abc.Stream, scope: trio.CancelScope, over: trio.Event) -> None:
        head = b""
        call = None
        try:
            with scope:
                while b"\r\n\r\n" not in head:
                    head += await stream.receive_some()
                target = urlsplit(head.split(b" ")[1].decode())
                call = Call(target.path, dict(parse_qsl(target.query)))
                self.calls.append(call)
                await self._answer(stream, call)
        except trio.BrokenResourceError:
            pass  # the relay has what it wanted
        finally:
            if call is not None:
                call.open = False
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
            over.set()

    async def _answer(self, stream: trio.abc.Stream, call: Call) -> None:
        parts = call.path.split("/")
        if parts[-1] == "log":
            await self._log(stream, call, parts[-2])
        elif call.query.get("watch"):
            await self._watch(stream, call)
        elif parts[-1] == "pods":
            found = [pod for pod in self.pods.values() if self._matches(pod, call)]
            version = {"resourceVersion": str(len(self._events))}
            await self._whole(stream, 200, {"metadata": version, "items": found})
        elif parts[-1] in self.services:
            await self._whole(stream, 200, self.services[parts[-1]])
        else:
            await self._whole(stream, 404, {"code": 404, "message": f"{parts[-1]} not found", "reason": "NotFound"})

    async def _whole(self, stream: trio.abc.Stream, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        await stream.send_all(response_head(status, [(b"content-length", b"%d" % len(body))]) + body)

    async def _watch(self, stream: trio.abc.Stream, call: Call) -> None:
        await stream.send_all(response_head(200, [(b"transfer-encoding", b"chunked")]))
        sent = int(call.query["resourceVersion"])
        with trio.move_on_after(int(call.query["timeoutSeconds"])):
            while call.open:
                changed = self._changed
                for event in self._events[sent:]:
                    if self._matches(event["object"], call):
                        await stream.send_all(chunk(json.dumps(event).encode() + b"\n"))
                sent = len(self._events)
                await changed.wait()
        if call.open:
            await stream.send_all(b"0\r\n\r\n")

    async def _log(self, stream: trio.abc.Stream, call: Call, name: str) -> None:
        log = self.logs[name, call.query["container"]]
        if (state := self._waiting(name, call.query["container"])) is not None:
            await self._whole(stream, 400, {"code": 400, "message": f"waiting to start: {state}"})
            return
        await stream.send_all(response_head(200, [(b"transfer-encoding", b"chunked")]))
        first = 0
        if since := call.query.get("sinceTime"):
            first = sum(1 for time, _ in log.lines if stamp(time) < since.removesuffix("Z"))
        if seconds := call.query.get("sinceSeconds"):
            first = sum(1 for time, _ in log.lines if time < self.now - int(seconds))
        if (tail := call.query.get("tailLines")) is not None:
            first = max(first, len(log.lines) - int(tail))
        while call.open:
            changed = self._changed
            for time, line in log.lines[first:]:
                data = chunk(f"{stamp(time)} ".encode() + line + b"\n")
                await stream.send_all(data)
                call.sent_bytes += len(line)
                first += 1
            if log.ended or not call.query.get("follow"):
                await stream.send_all(b"0\r\n\r\n")
                return
            await changed.wait()

    # -- inside

    def _status(self, container: str) -> dict[str, Any]:
        return {"name": container, "restartCount": 0, "containerID": container, "state": {"running": {}}}

    def _waiting(self, name: str, container: str) -> str | None:
        for status in self.pods.get(name, {"status": {"containerStatuses": []}})["status"]["containerStatuses"]:
            if status["name"] == container and "waiting" in status["state"]:
                return str(status["state"]["waiting"]["reason"])
        return None

    def _matches(self, pod: dict[str, Any], call: Call) -> bool:
        wanted = dict(pair.split("=") for pair in call.query["labelSelector"].split(","))
        namespace = call.path.split("/namespaces/")[1].split("/")[0] if "/namespaces/" in call.path else ""
        metadata = pod["metadata"]
        return wanted.items() <= metadata["labels"].items() and namespace in {"", metadata["namespace"]}

    def _event(self, kind: str, pod: dict[str, Any]) -> None:
        document = json.loads(json.dumps(pod))
        document["metadata"]["resourceVersion"] = str(len(self._events) + 1)
        self._events.append({"type": kind, "object": document})
        self._signal()

    def _signal(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
