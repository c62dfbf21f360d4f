"""The logs of a workspace's pods as one stream: read once, or followed as pods come, restart and go.

Nothing is kept: a piece of a log is read when the one before has left to whoever asked. So a visitor who is slow stalls
the stream of the tunnel, that stalls the agent, and that the kubelet.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import trio

from relay.control.kubernetes.log_budget import LogBudget
from relay.control.kubernetes.log_forms import LogForm
from relay.control.kubernetes.log_lines import LogLines
from relay.control.kubernetes.pods import Container, Pod, Selection, list_pods
from relay.errors import RelayError
from relay.kubernetes import PODS, GoneError, KubernetesClient, LogOptions, NotFoundError

FIRST_PAUSE_SECONDS = 1.0
"""Before a log, or a watch, that ended is asked for again: its pod's state is known by then."""
LONGEST_PAUSE_SECONDS = 30.0
BEAT_SECONDS = 15.0
"""Proxies in between give up a silent answer after a minute or so."""

Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChoice:
    """Which logs, and what of them."""

    pod: str = ""
    """Name of the only pod; empty: all."""
    container: str = ""
    """Name of the only container of each pod; empty: all."""
    follow: bool = False
    since_seconds: int | None = None
    tail_lines: int | None = None
    """Of each container."""
    timestamps: bool = False

    def containers(self, pod: Pod) -> list[Container]:
        """Those of a pod whose log is wanted."""
        if self.pod and pod.name != self.pod:
            return []
        return [container for container in pod.containers if self.container in {"", container.name}]


class LogStream:
    """One stream, towards one visitor."""

    def __init__(
        self, api: KubernetesClient, choice: LogChoice, form: LogForm, send: Send, *, budget: LogBudget, org_id: str
    ) -> None:
        self.api = api
        self.choice = choice
        self._budget = budget
        self._org_id = org_id
        self._form = form
        self._send = send
        self._turn = trio.Lock()  # fair: every container has its turn
        self._is_over = False

    async def write(self, pod: Pod, container: str, lines: Sequence[bytes]) -> None:
        """Sends lines of a container; returns when the next may be read."""
        if lines:
            async with self._turn:
                await self._send(self._form.lines(pod, container, lines))

    async def note(self, message: str) -> None:
        """Says something between the lines."""
        async with self._turn:
            await self._send(self._form.note(message))

    async def run(self, selections: Sequence[Selection], pods: Sequence[Pod]) -> None:
        """Streams what was chosen: of `pods` once, or of what the selections have from now on."""
        seconds = self._budget.limits.stream_seconds
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._beat)
            nursery.start_soon(self._end_after, seconds, nursery.cancel_scope)
            if self.choice.follow:
                await _Followed(self, selections).run()
            else:
                await self._read_once(pods)
            await self._stop(nursery.cancel_scope)
        if self._is_over:
            await self._send(self._form.note(f"this is the end after {seconds:g} s (limits.log_seconds): ask again"))
        await self._send(self._form.end())

    async def _end_after(self, seconds: float, scope: trio.CancelScope) -> None:
        await trio.sleep(seconds)
        self._is_over = True
        await self._stop(scope)

    async def _stop(self, scope: trio.CancelScope) -> None:
        """Ends all tasks at a moment when nothing is being sent: a part that left half would spoil the rest."""
        async with self._turn:
            scope.cancel()

    async def _read_once(self, pods: Sequence[Pod]) -> None:
        """One container after the other, in the order of their names: as kubectl does."""
        for pod in pods:
            for container in self.choice.containers(pod):
                if not container.has_log:
                    await self.note(f"{pod.name}/{container.name} is {container.state}: {container.reason}")
                elif self.take():
                    try:
                        await self._read_whole(pod, container.name)
                    finally:
                        self.give_back()
                else:
                    await self.note(f"{pod.name}/{container.name} is not read: {self.full}")

    def take(self) -> bool:
        """Counts one more container that is read for the org; False where that is too many."""
        return self._budget.take_container(self._org_id)

    def give_back(self) -> None:
        """Ends what `take` began."""
        self._budget.give_back(self._org_id)

    @property
    def full(self) -> str:
        """Why a container is left out."""
        most = self._budget.limits.containers_per_org
        return f"this org reads {most} logs at once (limits.log_containers_per_org)"

    async def _read_whole(self, pod: Pod, container: str) -> None:
        try:
            await read_log(self, pod, container, LogLines(timestamps=self.choice.timestamps), is_new=False)
        except RelayError as error:
            await self.note(f"{pod.name}/{container}: {error}")

    async def _beat(self) -> None:
        if not self._form.beat():
            return
        while True:
            await trio.sleep(BEAT_SECONDS)
            async with self._turn:
                await self._send(self._form.beat())


async def read_log(stream: LogStream, pod: Pod, container: str, lines: LogLines, *, is_new: bool) -> None:
    """Reads a container's log to its end.

    `is_new`: the container came after the stream began, so that all of its log is wanted. Raises RelayError.
    """
    choice, since_time = stream.choice, lines.since_time
    since_seconds, tail_lines = choice.since_seconds, choice.tail_lines
    if since_time or is_new:
        since_seconds = tail_lines = None
    elif lines.opened_at is not None and not (since_seconds is tail_lines is None):
        # Followed before, and silent so far: all that came since then is wanted, however many lines it is.
        since_seconds = (since_seconds or 0) + math.ceil(trio.current_time() - lines.opened_at)
        tail_lines = None
    options = LogOptions(
        container=container,
        follow=choice.follow,
        since_seconds=since_seconds,
        since_time=since_time,
        tail_lines=tail_lines,
        timestamps=True,
    )
    lines.resume()
    async with stream.api.pod_log(pod.namespace, pod.name, options) as answer:
        if lines.opened_at is None:
            lines.opened_at = trio.current_time()
        async for piece in answer:
            await stream.write(pod, container, lines.feed(piece))
    await stream.write(pod, container, lines.end())


class _Followed:
    """What the selections have now, and a task for each container whose log is read."""

    def __init__(self, stream: LogStream, selections: Sequence[Selection]) -> None:
        self._stream = stream
        self._selections = selections
        self._pods: list[dict[str, Pod]] = [{} for _ in selections]
        self._changed: dict[str, trio.Event] = {}
        """By uid of a pod: what is set when it changes."""
        self._read: set[tuple[str, str]] = set()
        """Uid and container of those that have a task."""
        self._told: set[tuple[str, str]] = set()
        self._nursery: trio.Nursery

    async def run(self) -> None:
        """Follows for ever."""
        async with trio.open_nursery() as self._nursery:
            for selection, pods in zip(self._selections, self._pods, strict=True):
                self._nursery.start_soon(self._watch, selection, pods)

    def pod(self, uid: str) -> Pod | None:
        """A pod as it is now; None when it is gone."""
        return next((pods[uid] for pods in self._pods if uid in pods), None)

    # -- pods

    async def _watch(self, selection: Selection, pods: dict[str, Pod]) -> None:
        """Keeps `pods` true. It is one of the agent's requests for as long as it lasts, so it counts as a log does."""
        if not self._stream.take():
            await self._stream.note(f"pods of {selection.origin} are not followed: {self._stream.full}")
            return
        try:
            await self._watch_for_ever(selection, pods)
        finally:
            self._stream.give_back()

    async def _watch_for_ever(self, selection: Selection, pods: dict[str, Pod]) -> None:
        pause, said, is_new = FIRST_PAUSE_SECONDS, "", False
        while True:
            try:
                listed, version = await list_pods(self._stream.api, selection)
                await self._replace(pods, listed, is_new=is_new)
                pause, said, is_new = FIRST_PAUSE_SECONDS, "", True
                await self._watch_from(selection, pods, version)
            except GoneError:
                pass  # the history is shorter than the time between two watches: list again
            except RelayError as error:
                if str(error) != said:
                    said = str(error)
                    await self._stream.note(f"pods cannot be watched, trying again: {error}")
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _watch_from(self, selection: Selection, pods: dict[str, Pod], version: str) -> None:
        """Follows changes over any number of watches. Raises RelayError when it has to be listed anew."""
        while True:
            async with self._stream.api.watch(PODS, selection.where, resource_version=version) as events:
                async for event in events:
                    version = event.resource_version or version
                    if event.type == "BOOKMARK":
                        continue
                    pod = Pod.of(event.object, selection.origin)
                    if event.type == "DELETED":
                        self._forget(pods, pod.uid)
                    else:
                        await self._take(pods, pod, is_new=True)
            await trio.sleep(FIRST_PAUSE_SECONDS)

    async def _replace(self, pods: dict[str, Pod], listed: Sequence[Pod], *, is_new: bool) -> None:
        for uid in pods.keys() - {pod.uid for pod in listed}:
            self._forget(pods, uid)
        for pod in listed:
            await self._take(pods, pod, is_new=is_new)

    def _forget(self, pods: dict[str, Pod], uid: str) -> None:
        pods.pop(uid, None)
        self._signal(uid)

    async def _take(self, pods: dict[str, Pod], pod: Pod, *, is_new: bool) -> None:
        """A pod that is new, or has changed."""
        pods[pod.uid] = pod
        self._signal(pod.uid)
        for container in self._stream.choice.containers(pod):
            key = (pod.uid, container.name)
            if key in self._read:
                continue
            if self._stream.take():
                self._read.add(key)
                self._nursery.start_soon(self._follow, pod, container.name, is_new)
            elif key not in self._told:
                self._told.add(key)
                await self._stream.note(f"{pod.name}/{container.name} is not followed: {self._stream.full}")

    def _signal(self, uid: str) -> None:
        event = self._changed.pop(uid, None)
        if event is not None:
            event.set()

    # -- one container

    async def _follow(self, pod: Pod, container: str, is_new: bool) -> None:  # noqa: FBT001 - start_soon has no keywords
        """Reads a container's log, which was counted, over all of its lives, until its pod is gone."""
        try:
            await self._follow_lives(pod, container, is_new=is_new)
        finally:
            self._stream.give_back()
            self._read.discard((pod.uid, container))

    async def _follow_lives(self, pod: Pod, container: str, *, is_new: bool) -> None:
        lines = LogLines(timestamps=self._stream.choice.timestamps)
        pause, said, life = FIRST_PAUSE_SECONDS, "", ""
        while (state := self._state(pod.uid, container)) is not None:
            if not state.has_log or (state.life == life and not state.is_running):
                await self._change(pod.uid)
                continue
            is_new = is_new or life not in {"", state.life}
            life, before = state.life, lines.count
            try:
                await read_log(self._stream, pod, container, lines, is_new=is_new)
            except NotFoundError:
                pass  # it ends; the watch will tell
            except RelayError as error:
                if str(error) != said:
                    said = str(error)
                    await self._stream.note(f"{pod.name}/{container}: {error}")
            if lines.count > before:
                pause, said = FIRST_PAUSE_SECONDS, ""
            if self._state(pod.uid, container) == state:
                with trio.move_on_after(pause):
                    await self._change(pod.uid)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _state(self, uid: str, container: str) -> Container | None:
        pod = self.pod(uid)
        return None if pod is None else pod.container(container)

    async def _change(self, uid: str) -> None:
        await self._changed.setdefault(uid, trio.Event()).wait()
