"""The Workspace objects of one cluster, kept as the database has them; what they say is noted there."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import structlog
import trio

from relay.control.kubernetes.cluster import ClusterApi
from relay.control.kubernetes.decisions import Step, decide, is_as_wanted, is_of, replacement
from relay.control.kubernetes.documents import document_of
from relay.control.kubernetes.readiness import problem, state_of
from relay.errors import ClusterOfflineError, RelayError
from relay.kubernetes import (
    ORG_ID_LABEL,
    WORKSPACES,
    ConflictError,
    ForbiddenError,
    Informer,
    InvalidError,
    NotFoundError,
    Where,
    WorkQueue,
)
from relay.store import Database, InCluster, Org, Workspace, workspaces

AT_A_TIME: Final = 4
"""Workspaces of one cluster that are worked on at once."""
RESYNC_SECONDS: Final = 300.0
"""All workspaces are looked at so often, whatever was heard of."""
PAGE: Final = 100
ALREADY_EXISTS: Final = "AlreadyExists"

Object = dict[str, Any]
log = structlog.get_logger("kubernetes")


class Reconciler:
    """Works on one cluster, while an agent of it lets Workspaces through.

    Several relay processes may work on one cluster: each compares with the one database, every write names the version
    that it is based on, and nothing is deleted that the database has not been asked about since it was seen.

    Args:
        database: what is wanted.
        api: the cluster.
        org: whose cluster it is.
        is_open: whether an agent lets Workspaces through now.
    """

    def __init__(self, database: Database, api: ClusterApi, org: Org, *, is_open: Callable[[], bool]) -> None:
        self.org_id = org.id
        self._database = database
        self._api = api
        self._org = org
        self._is_open = is_open
        self._queue = WorkQueue(self._reconcile, at_a_time=AT_A_TIME, on_failure=self._failed)
        self._informer = Informer(api, WORKSPACES, self._where, on_event=self._changed, on_error=self._broke_off)
        self._scope = trio.CancelScope()
        self._all_wanted = trio.Event()
        self._noted: dict[str, tuple[str, int, str]] = {}
        """What was noted last of each name: the workspace's id and revision, and the object's version."""

    def heard(self, name: str) -> None:
        """A workspace of the org was changed; with an empty name any may have been."""
        if name:
            self._queue.add(name)
        else:
            self._all_wanted.set()

    async def run(self) -> None:
        """Works until no agent lets Workspaces through. Raises StoreUnavailableError."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._follow)
                await self._informer.synced.wait()
                nursery.start_soon(self._queue.run)
                while True:
                    self._all_wanted = trio.Event()
                    await self._add_all()
                    with trio.move_on_after(RESYNC_SECONDS):
                        await self._all_wanted.wait()

    def _where(self) -> Where:
        return Where(namespace=self._api.namespace, labels=f"{ORG_ID_LABEL}={self.org_id}")

    async def _follow(self) -> None:
        try:
            await self._informer.run(ends=(ClusterOfflineError,))
        except ClusterOfflineError:
            self._scope.cancel()

    def _broke_off(self, error: RelayError) -> None:
        if self._is_open():
            log.info("workspaces_not_followed", cluster=self._api.cluster_id, problem=str(error))
        else:
            self._scope.cancel()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self._queue.add(str((new or old or {})["metadata"]["name"]))

    async def _add_all(self) -> None:
        for _, name in self._informer.objects:
            self._queue.add(name)
        after = ""
        while page := await self._page(after):
            for workspace in page:
                self._queue.add(workspace.name)
            after = page[-1].id

    async def _page(self, after: str) -> Sequence[Workspace]:
        return await self._database.read(workspaces.find_in_cluster, self._api.cluster_id, limit=PAGE, after=after)

    def _failed(self, _name: str, error: Exception) -> None:
        if isinstance(error, ConflictError | ClusterOfflineError):
            return  # another process was quicker, or the cluster has left; it is looked at again
        if isinstance(error, RelayError):
            # Its sentence may name what rests sealed in the database.
            log.warning("workspace_not_kept", cluster=self._api.cluster_id, problem=error.code)
        else:
            log.error("workspace_not_kept", cluster=self._api.cluster_id, exc_info=error)

    async def _reconcile(self, name: str) -> None:
        # What is there comes first: it is not deleted unless the database, asked later, does not want it.
        there = self._informer.objects.get((self._api.namespace, name))
        workspace = await self._database.read(workspaces.get, self.org_id, name)
        if workspace is not None and workspace.cluster_id != self._api.cluster_id:
            workspace = None
        if workspace is None:
            self._noted.pop(name, None)
            if there is not None and decide(there, None, org_id=self.org_id) is Step.DELETE:
                await self._delete(there)
            return
        try:
            state = await self._bring_about(there, workspace)
        except (ForbiddenError, InvalidError) as error:
            await self._note(workspace, problem("Refused", str(error), revision=workspace.revision))
            raise
        await self._note(workspace, state, version=there["metadata"]["resourceVersion"] if there is not None else "")

    async def _bring_about(self, there: Object | None, workspace: Workspace) -> InCluster | None:
        """Writes what is wanted where that is not there; gives what the object says of it, if anything."""
        wanted = document_of(self._org, workspace)
        match decide(there, wanted, org_id=self.org_id):
            case Step.CREATE:
                return await self._create(wanted, workspace)
            case Step.REPLACE if there is not None:
                await self._api.replace(WORKSPACES, self._api.namespace, replacement(there, wanted))
            case _:
                if there is not None and is_as_wanted(there, wanted):
                    return state_of(there, revision=workspace.revision)
        return None

    async def _create(self, wanted: Object, workspace: Workspace) -> InCluster | None:
        try:
            await self._api.create(WORKSPACES, self._api.namespace, wanted)
        except ConflictError as error:
            if error.reason != ALREADY_EXISTS:
                raise
            found = await self._api.get(WORKSPACES, self._api.namespace, workspace.name)
            if is_of(found, self.org_id):
                return None  # another process was quicker; the watch will tell
            message = f"the cluster has a Workspace {workspace.name!r} that belongs to somebody else"
            return problem("NameTaken", message, revision=workspace.revision)
        return None

    async def _delete(self, there: Object) -> None:
        metadata = there["metadata"]
        try:
            await self._api.delete(WORKSPACES, metadata["namespace"], metadata["name"], uid=metadata["uid"])
        except NotFoundError:
            return

    async def _note(self, workspace: Workspace, state: InCluster | None, *, version: str = "") -> None:
        """Notes what an object of that version says.

        Once: if the database says something else later, a process whose watch is quicker has noted it.
        """
        mark = (workspace.id, workspace.revision, version)
        if state is None or (version and self._noted.get(workspace.name) == mark):
            return
        if state != workspace.in_cluster:
            await self._database.write(workspaces.note_in_cluster, workspace, state)
        self._noted[workspace.name] = mark
