"""The copy of a cluster's objects: what it does when a watch misbehaves, in virtual time."""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from relay.errors import RelayError
from relay.kubernetes import (
    WORKSPACES,
    ApiRequest,
    Event,
    GoneError,
    Informer,
    KubernetesClient,
    Listed,
    UnavailableError,
    Where,
)

Object = dict[str, Any]


def thing(name: str, version: int) -> Object:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    metadata = {"name": name, "namespace": "n", "resourceVersion": str(version), "annotations": annotations}
    return {"metadata": metadata | {"managedFields": [1]}}


class Script(KubernetesClient):
    """Answers as the test says: each watch is one of `watches`, and the last one is silent for ever."""

    def __init__(self, *watches: Callable[[], AsyncIterator[Event]]) -> None:
        self.items = [thing("a", 1)]
        self.watches = list(watches)
        self.asked: list[tuple[str, float]] = []

    def exchange(self, request: ApiRequest) -> Any:
        raise NotImplementedError

    async def list(self, *_: Any, **__: Any) -> Listed:
        await trio.lowlevel.checkpoint()
        self.asked.append(("list", trio.current_time()))
        return Listed(items=[{**item} for item in self.items], resource_version="5")

    @asynccontextmanager
    async def watch(self, *_: Any, resource_version: str, **__: Any) -> AsyncIterator[Any]:
        self.asked.append((f"watch {resource_version}", trio.current_time()))
        yield (self.watches.pop(0) if self.watches else silent)()


async def silent() -> AsyncIterator[Event]:
    await trio.sleep(math.inf)
    yield Event("BOOKMARK", {})


async def over() -> AsyncIterator[Event]:
    await trio.lowlevel.checkpoint()
    nothing: list[Event] = []
    for event in nothing:
        yield event


def saying(*events: Event, then: RelayError | None = None) -> Callable[[], AsyncIterator[Event]]:
    async def say() -> AsyncIterator[Event]:
        for event in events:
            await trio.lowlevel.checkpoint()
            yield event
        if then is not None:
            raise then
        await trio.sleep(300)

    return say


async def follow(script: Script, seconds: float) -> tuple[Informer, list[tuple[str, str]], list[str]]:
    heard: list[tuple[str, str]] = []
    errors: list[str] = []

    def on_event(old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        heard.append(("gone" if new is None else "new" if old is None else "changed", name))

    informer = Informer(script, WORKSPACES, Where, on_event=on_event, on_error=lambda error: errors.append(str(error)))
    with trio.move_on_after(seconds):
        await informer.run()
    return informer, heard, errors


async def test_events_change_the_copy_and_the_next_watch_goes_on_from_the_last(
    autojump_clock: trio.testing.MockClock,
) -> None:
    script = Script(
        saying(
            Event("ADDED", thing("b", 6)),
            Event("MODIFIED", thing("a", 7)),
            Event("DELETED", thing("b", 8)),
            Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
        )
    )
    informer, heard, errors = await follow(script, 310)
    assert heard == [("new", "a"), ("new", "b"), ("changed", "a"), ("gone", "b")]
    assert [what for what, _ in script.asked] == ["list", "watch 5", "watch 9"]
    assert list(informer.objects) == [("n", "a")]
    assert informer.objects["n", "a"]["metadata"]["annotations"] == {"a": "b"}
    assert "managedFields" not in informer.objects["n", "a"]["metadata"]
    assert errors == []


async def test_410_means_a_new_list_at_once_and_its_difference_is_told(autojump_clock: trio.testing.MockClock) -> None:
    script = Script(saying(Event("ADDED", thing("b", 6)), then=GoneError("too old")))
    _, heard, _ = await follow(script, 1)
    assert heard == [("new", "a"), ("new", "b"), ("gone", "b")]
    assert [what for what, _ in script.asked] == ["list", "watch 5", "list", "watch 5"]
    assert script.asked[-1][1] == script.asked[0][1]


async def test_a_lost_watch_goes_on_without_a_list(autojump_clock: trio.testing.MockClock) -> None:
    script = Script(saying(Event("ADDED", thing("b", 6)), then=UnavailableError("lost")))
    await follow(script, 60)
    assert [what for what, _ in script.asked] == ["list", "watch 5", "watch 6"]


async def test_watches_that_end_at_once_or_410_again_and_again_are_no_busy_loop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    for watches in ([over] * 1000, [saying(then=GoneError("too old"))] * 1000):
        script = Script(*watches)
        _, _, errors = await follow(script, 600)
        assert 10 < len(errors) < 200


async def test_a_watch_that_never_ends_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    script = Script()
    _, _, errors = await follow(script, 400)
    assert errors == ["the watch did not end when it should"]
    assert [what for what, _ in script.asked] == ["list", "watch 5", "watch 5"]


async def test_everything_is_listed_again_now_and_then(autojump_clock: trio.testing.MockClock) -> None:
    script = Script(*[saying(Event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))] * 10)
    await follow(script, 1300)
    assert [at - script.asked[0][1] for what, at in script.asked if what == "list"] == [0, 600, 1200]
