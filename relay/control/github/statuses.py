"""Commit statuses: what is to be said follows from the workspaces; what was said GitHub is told until it has it."""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import trio

from relay.auth import UnsealError
from relay.control.github.backoff import pause_seconds
from relay.control.github.client import GithubClient
from relay.control.github.errors import GithubRefusedError
from relay.control.github.sayings import Urls, sayings_about
from relay.errors import GithubUnavailableError, RelayError, StoreUnavailableError
from relay.store import Change, Database, Workspace, installations, orgs, statuses, workspaces
from relay.store.readiness import ClusterStatus, readiness_of
from relay.store.rows import Transaction
from relay.store.statuses import CommitStatus

LOOK_SECONDS = 300.0
"""All workspaces are looked at so often, whatever was heard of; notices do the rest at once."""
PAGE = 100
"""Workspaces in one transaction."""
AGAIN_SECONDS = 5.0
"""After the store did not answer."""
FAULT_SECONDS = 60.0
"""After an error that nobody foresaw: a person has to look into it, and the log is not to be flooded."""
CLAIM_SECONDS = 30.0
SEND_SECONDS = 25.0
"""Shorter than the claim, so that no two processes send one status at a time."""
POLL_SECONDS = 2.0
AT_A_TIME = 4
"""Statuses being sent: GitHub advises against many writes at once."""

log = structlog.get_logger("github")


class StatusKeeper:
    """Keeps what is to be said true. Only levels count: a notice that is lost is made up for by the next look.

    Args:
        cluster_status: how a cluster can be reached through this process, by its id.
        on_said: called when there is something new to send.
    """

    def __init__(
        self,
        database: Database,
        *,
        cluster_status: Callable[[str], ClusterStatus],
        urls: Urls,
        on_said: Callable[[], None],
    ) -> None:
        self._database = database
        self._cluster_status = cluster_status
        self._urls = urls
        self._on_said = on_said
        self._wanted = trio.Event()
        self._workspaces: set[tuple[str, str]] = set()
        self._gone: set[str] = set()
        self._clusters: set[str] = set()

    def heard(self, change: Change) -> None:
        """A workspace was changed, by whichever process."""
        if change.kind != "workspace":
            return
        if change.deleted:
            self._gone.add(change.id)
        else:
            self._workspaces.add((change.org_id, change.name))
        self._wanted.set()

    def cluster_came_online(self, cluster_id: str) -> None:
        """The first tunnel of a cluster is there."""
        self._clusters.add(cluster_id)
        self._wanted.set()

    async def run(self) -> None:
        """Looks for ever: at once at what was heard of, now and then at everything."""
        next_look = trio.current_time()
        while True:
            try:
                if trio.current_time() >= next_look:
                    await self.look_at_all()
                    next_look = trio.current_time() + LOOK_SECONDS
                await self.look_at_heard()
            # What was heard of may be lost by either: all are looked at again.
            except RelayError as error:
                log.warning("statuses_not_looked_at", problem=str(error))
                next_look = trio.current_time() + AGAIN_SECONDS
            except Exception:
                log.exception("statuses_not_looked_at")
                next_look = trio.current_time() + FAULT_SECONDS
            with trio.move_on_at(next_look):
                await self._wanted.wait()

    async def look_at_heard(self) -> None:
        """Looks at the workspaces and clusters that were heard of since."""
        self._wanted = trio.Event()
        while self._gone:
            gone = next(iter(self._gone))
            await self._database.write(statuses.forget_workspace, gone)
            self._gone.discard(gone)  # not before: no later look would make up for it
        while self._clusters:
            await self._look_at_cluster(self._clusters.pop())
        while self._workspaces:
            org_id, name = self._workspaces.pop()
            try:
                found = await self._database.read(workspaces.get, org_id, name)
            except UnsealError as error:
                log.warning("workspace_not_readable", org_id=org_id, problem=str(error))
                continue
            if found is not None:
                await self._look([found])

    async def look_at_all(self) -> None:
        """Looks at every workspace of the orgs that the App is installed for."""
        for installation in await self._database.read(installations.find_all):
            await self._look_through(partial(workspaces.find_ids, org_id=installation.org_id))

    async def _look_at_cluster(self, cluster_id: str) -> None:
        await self._look_through(partial(workspaces.find_ids, cluster_id=cluster_id))

    async def _look_through(self, find_ids: Callable[..., Sequence[str]]) -> None:
        after = ""
        while ids := await self._database.read(find_ids, limit=PAGE, after=after):
            after = ids[-1]
            await self._look(await self._database.read(_find_readable, ids))

    async def _look(self, page: Sequence[Workspace]) -> None:
        found: Sequence[Workspace] = [workspace for workspace in page if workspace.spec.github is not None]
        if not found:
            return
        said = await self._database.write(_say_all, found, self._cluster_status, self._urls)
        if said:
            self._on_said()


def _find_readable(tx: Transaction, ids: Sequence[str]) -> Sequence[Workspace]:
    """The workspaces of those ids; one that cannot be unsealed is left out, and must not hold up the others."""
    try:
        return workspaces.get_all(tx, ids)
    except UnsealError:
        pass
    found: list[Workspace] = []
    for workspace_id in ids:
        try:
            found += workspaces.get_all(tx, [workspace_id])
        except UnsealError as error:
            log.warning("workspace_not_readable", workspace=workspace_id, problem=str(error))
    return found


def _say_all(
    tx: Transaction, found: Sequence[Workspace], cluster_status: Callable[[str], ClusterStatus], urls: Urls
) -> int:
    """Says what is to be said about workspaces of one or more orgs; gives how many statuses are new."""
    said = 0
    for workspace in found:
        try:
            org = orgs.get(tx, workspace.org_id)
            if org is None or installations.find_by_org(tx, org.id) is None:
                continue
            readiness = readiness_of(workspace, cluster_status(workspace.cluster_id))
            for saying in sayings_about(org, workspace, readiness=readiness, urls=urls):
                said += statuses.say(tx, org.id, saying, workspace_id=workspace.id)
        except UnsealError as error:
            log.warning("status_not_readable", workspace=workspace.id, problem=str(error))
    return said


class StatusSender:
    """Tells GitHub what was said. One per process; several processes may send from one table."""

    def __init__(
        self,
        database: Database,
        client: GithubClient,
        *,
        clock: Callable[[], float] = time.time,
        random_number: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._random = random_number
        self._wanted = trio.Event()
        self._paused: dict[int, float] = {}

    def wake(self) -> None:
        """There is something new: look at once."""
        self._wanted.set()

    async def run(self) -> None:
        """Sends for ever."""
        while True:
            self._wanted = trio.Event()
            try:
                sent = await self.send_due()
            except RelayError as error:
                log.warning("statuses_not_sent", problem=str(error))
                sent = 0
            except Exception:
                log.exception("statuses_not_sent")
                sent = 0
            if not sent:
                with trio.move_on_after(POLL_SECONDS):
                    await self._wanted.wait()

    async def send_due(self) -> int:
        """Sends what is due, a handful at a time; gives how many were tried."""
        if not await self._database.read(statuses.is_due):
            return 0
        claimed = await self._database.write(statuses.claim_due, limit=AT_A_TIME, seconds=CLAIM_SECONDS)
        async with trio.open_nursery() as nursery:
            for status in claimed:
                nursery.start_soon(self._send, status)
        return len(claimed)

    async def _send(self, status: CommitStatus) -> None:
        """Sends one; whatever goes wrong with it does not concern the others."""
        try:
            try:
                await self._attempt(status)
            except StoreUnavailableError:
                raise
            except RelayError as error:
                await self._later(status, f"{error.code}: {error}", None)
            except Exception as error:
                log.exception("status_failed", status=status.id)
                await self._later(status, type(error).__name__, None)
        except RelayError as error:
            # The claim runs out by itself, and then somebody tries again.
            log.warning("status_not_stored", status=status.id, problem=str(error))
        except Exception:
            log.exception("status_not_stored", status=status.id)

    async def _attempt(self, status: CommitStatus) -> None:
        found = await self._database.read(installations.find_by_org, status.org_id)
        if found is None or found.suspended:
            await self._database.write(statuses.finish, status, problem="the App is not installed, or suspended")
            return
        number = found.installation_id
        paused = self._paused.get(number, 0.0) - self._clock()
        if paused > 0:
            await self._later(status, "GitHub asked to wait", paused)
            return
        try:
            with trio.fail_after(SEND_SECONDS):
                await self._tell(number, status)
        except GithubRefusedError as error:
            # The commit or the repository is gone, or the App may not: asking again would not help.
            log.warning("status_refused", org_id=status.org_id, status=status.id)
            await self._database.write(statuses.finish, status, problem=str(error))
        except (GithubUnavailableError, trio.TooSlowError) as error:
            asked = error.retry_after_seconds if isinstance(error, GithubUnavailableError) else None
            if asked is not None:
                self._paused[number] = self._clock() + asked
            await self._later(status, str(error) or "it took too long", asked)
        else:
            await self._database.write(statuses.finish, status)

    async def _tell(self, installation_id: int, status: CommitStatus) -> None:
        saying = status.saying
        await self._client.set_status(
            installation_id,
            saying.repository,
            saying.commit,
            state=saying.state,
            context=saying.context,
            description=saying.description,
            target_url=saying.target_url,
        )

    async def _later(self, status: CommitStatus, problem: str, asked_seconds: float | None) -> None:
        pause = pause_seconds(status.attempt, self._random(), asked_seconds=asked_seconds)
        log.info("status_put_off", status=status.id, attempt=status.attempt, pause_seconds=round(pause, 1))
        await self._database.write(statuses.retry, status, due_at=self._clock() + pause, problem=problem)
