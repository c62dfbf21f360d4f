"""The controller: watches Workspaces and what they are about, and does what `decisions` says.

It keeps nothing of its own: whatever is known is in the cluster, so it may end at any moment and begin anew. Several
replicas of an agent may run it at once: they decide alike, and what they write is the same.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog
import trio

from client.kubernetes.controller.clones import is_same_baseline, owner_of
from client.kubernetes.controller.decisions import REFUSED, Named, Plan, decide, leftovers, refused, status_of
from client.kubernetes.controller.reach import Reach
from client.kubernetes.controller.readiness import MAX_MESSAGE, State
from client.kubernetes.controller.seen import Seen
from client.kubernetes.controller.wishes import FINALIZER, Place, Wish, wish_of
from relay.errors import RelayError
from relay.kubernetes import (
    APPLY_PATCH,
    DEPLOYMENTS,
    PODS,
    SERVICES,
    WORKSPACE_LABEL,
    WORKSPACES,
    ConflictError,
    ForbiddenError,
    Informer,
    InvalidError,
    KubernetesClient,
    KubernetesError,
    NotFoundError,
    Resource,
    TooManyRequestsError,
    Where,
    WorkQueue,
)

MANAGER: Final = "signadot-agent"
"""Field manager of what is applied."""
AT_A_TIME: Final = 4
"""Workspaces that are worked on at once: the API server has others to serve."""
RESYNC_SECONDS: Final = 300.0
"""All Workspaces are looked at so often, whatever was heard of."""
NO_TIME: Final = (502, 503, 504)
"""Answers of an API server that starts, stops or waits for its store, and of proxies before it. A 500 is none of them:
webhooks that fail, and manifests that cannot be applied, end in it for as long as nobody does something."""

Object = dict[str, Any]
log = structlog.get_logger("agent")


class Controller:
    """Makes clones as the Workspaces of the agent's namespace ask for them.

    Args:
        client: the API server.
        namespace: where the Workspaces are.
        allow_namespaces: where clones may be; empty for everywhere.
        clock: the time, in seconds since the epoch.
    """

    def __init__(
        self,
        client: KubernetesClient,
        *,
        namespace: str,
        allow_namespaces: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._clock = clock
        self._seen = Seen()
        self._queue = WorkQueue(self._reconcile, at_a_time=AT_A_TIME, on_failure=self._failed)
        own = Where(namespace=namespace)
        self._wishes = Informer(
            client, WORKSPACES, lambda: own, on_event=self._wish_changed, on_error=_complain("workspaces")
        )
        self._allowed = allow_namespaces
        self._others = [
            (place, self._informer(resource, place))
            for place in sorted(allow_namespaces) or [""]
            for resource in (DEPLOYMENTS, SERVICES, PODS)
        ]

    async def run(self) -> None:
        """Works for ever."""
        async with trio.open_nursery() as nursery:
            for informer in (self._wishes, *(informer for _, informer in self._others)):
                nursery.start_soon(informer.run)
            # A half-known cluster looks as if clones were missing, or left over. One namespace that cannot be read, or
            # was deleted with the agent's rights there, is no reason to leave the others.
            await self._wishes.synced.wait()
            for place, informer in self._others:
                await (informer.answered if place else informer.synced).wait()
            log.info("workspaces are kept", count=len(self._wishes.objects))
            nursery.start_soon(self._queue.run)
            while True:
                self._add_all()
                await trio.sleep(RESYNC_SECONDS)

    # --- what there is to do ----------------------------------------------------------------------------------------

    def _informer(self, resource: Resource, place: str) -> Informer:
        where = Where(namespace=place, labels=WORKSPACE_LABEL if resource == PODS else "")

        def heard(old: Object | None, new: Object | None) -> None:
            self._seen.put(resource, old, new)
            self._changed(resource, old, new)

        return Informer(
            self._client, resource, lambda: where, on_event=heard, on_error=_complain(resource.plural, place)
        )

    def _wish_changed(self, old: Object | None, new: Object | None) -> None:
        self._queue.add(str((new or old or {})["metadata"]["name"]))

    def _changed(self, resource: Resource, old: Object | None, new: Object | None) -> None:
        owners = {owner_of(document) for document in (old, new) if document is not None} - {""}
        for owner in owners:
            self._add_owner(owner)
        # Baselines and their Services concern everybody; their status and scale, which change often, concern nobody.
        if not owners and resource != PODS and not is_same_baseline(old, new):
            self._add_all()

    def _add_all(self) -> None:
        for _, name in self._wishes.objects:
            self._queue.add(name)
        for owner in self._seen.owners():
            self._add_owner(owner)

    def _add_owner(self, owner: str) -> None:
        namespace, _, name = owner.partition("/")
        if namespace == self._namespace:
            self._queue.add(name)

    def _failed(self, name: str, error: Exception) -> None:
        if isinstance(error, ConflictError | NotFoundError):
            return  # it was changed, or went, meanwhile; the watch tells, and it is looked at again
        if isinstance(error, RelayError):
            log.warning("workspace not kept", workspace=name, reason=str(error))
        else:
            log.error("workspace not kept", workspace=name, exc_info=error)

    # --- doing it ---------------------------------------------------------------------------------------------------

    async def _reconcile(self, name: str) -> None:
        await trio.lowlevel.checkpoint()
        document = self._wishes.objects.get((self._namespace, name))
        if document is None:
            await self._clear(name)
            return
        wish = wish_of(document)
        await self._carry_out(wish, decide(wish, self._seen, now=self._now(), reach=self._reach()))

    async def _clear(self, name: str) -> None:
        """Removes what a Workspace left that is gone without our finalizer."""
        left = leftovers(f"{self._namespace}/{name}", self._seen)
        if left and await self._is_gone(name):
            for error in (await self._each(self._delete, left)).values():
                raise error

    def _reach(self) -> Reach:
        unreadable = frozenset(place for place, informer in self._others if not informer.synced.is_set())
        return Reach(allowed=self._allowed, unreadable=unreadable)

    async def _carry_out(self, wish: Wish, plan: Plan) -> None:
        if plan.hold:
            await self._write_finalizers(wish, [*_finalizers(wish), FINALIZER])
        if (plan.applies or plan.deletes) and not await self._is_current(wish):
            return  # the watch is late, and tells yet: what was asked for long ago must not undo what is there for now
        # What cannot be done for one fork is no reason to leave the others, and somebody may have to do something.
        refusals = await self._each(self._apply, plan.applies) | await self._each(self._delete, plan.deletes)
        if refusals:
            told = {place: str(error) for place, error in refusals.items()}
            await self._write_status(wish, refused(wish, plan, told, now=self._now(), reach=self._reach()))
            raise next(iter(refusals.values()))
        if plan.release:
            await self._write_finalizers(wish, [name for name in _finalizers(wish) if name != FINALIZER])
        if wish.deleted and plan.status is not None:
            log.error("clones are left", workspace=wish.object_name, reason=plan.status["conditions"][-1]["message"])
        await self._write_status(wish, plan.status)

    async def _each(
        self, do: Callable[[Named], Awaitable[None]], all_named: Iterable[Named]
    ) -> dict[Place, KubernetesError]:
        """Does it for each; gives what was answered where it could not be done, by namespace and name."""
        refusals: dict[Place, KubernetesError] = {}
        for named in all_named:
            try:
                await do(named)
            except KubernetesError as error:
                if not _is_refusal(error):
                    raise
                refusals.setdefault((named.namespace, named.name), error)
        return refusals

    async def _apply(self, named: Named) -> None:
        log.info("clone applied", kind=named.resource.plural, namespace=named.namespace, name=named.name)
        path = named.resource.path(named.namespace, named.name)
        await self._client.patch(path, named.manifest, content_type=APPLY_PATCH, manager=MANAGER, force=True)

    async def _delete(self, named: Named) -> None:
        log.info("clone deleted", kind=named.resource.plural, namespace=named.namespace, name=named.name)
        with suppress(NotFoundError):
            await self._client.delete(named.resource, named.namespace, named.name, uid=named.uid)

    async def _is_gone(self, name: str) -> bool:
        try:
            await self._client.get(WORKSPACES, self._namespace, name)
        except NotFoundError:
            return True
        return False

    async def _is_current(self, wish: Wish) -> bool:
        """Whether a Workspace still asks for what we know."""
        try:
            now = await self._client.get(WORKSPACES, wish.namespace, wish.object_name)
        except NotFoundError:
            return False
        metadata = now["metadata"]
        return (metadata["uid"], metadata.get("generation", 0)) == (wish.uid, wish.generation)

    async def _write_finalizers(self, wish: Wish, finalizers: list[str]) -> None:
        # With the version that was read: others' finalizers must not be lost. Where the Workspace is gone meanwhile
        # nothing may be made for it, so that is an error as any other.
        version = wish.document["metadata"]["resourceVersion"]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": version}}
        try:
            await self._client.patch(WORKSPACES.path(wish.namespace, wish.object_name), patch)
        except (ForbiddenError, InvalidError) as error:
            state = State(reason=REFUSED, message=str(error)[:MAX_MESSAGE])
            await self._write_status(wish, status_of(wish, state, now=self._now()))
            raise

    async def _write_status(self, wish: Wish, status: Object | None) -> None:
        if status is not None:
            await self._client.patch(WORKSPACES.path(wish.namespace, wish.object_name, "status"), {"status": status})

    def _now(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))


def _is_refusal(error: KubernetesError) -> bool:
    """Whether the API server said no to this very write, rather than that it has no time or something has changed."""
    answered = error.http_status not in {0, *NO_TIME}
    return answered and not isinstance(error, TooManyRequestsError | ConflictError)


def _finalizers(wish: Wish) -> list[str]:
    return list(wish.document["metadata"].get("finalizers") or ())


def _complain(what: str, namespace: str = "") -> Callable[[RelayError], None]:
    def complain(error: RelayError) -> None:
        log.warning("watch broke off", resource=what, namespace=namespace, reason=str(error))

    return complain
