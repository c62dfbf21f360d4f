"""The parts of the GitHub App in one process, and their tasks."""

import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog
import trio

from relay.control.github.client import GithubClient
from relay.control.github.installing import Installing
from relay.control.github.payloads import Hint, PullRequestHint
from relay.control.github.pull_requests import PullRequests
from relay.control.github.receiver import WebhookReceiver
from relay.control.github.sayings import Urls
from relay.control.github.statuses import StatusKeeper, StatusSender
from relay.control.github.worker import Worker
from relay.errors import RelayError
from relay.store import Change, Database, deliveries, statuses
from relay.store.deliveries import Delivery
from relay.store.readiness import ClusterStatus

SYNC_SECONDS = 3600.0
"""How often GitHub is asked where the App is installed, in case that deliveries were missed."""

log = structlog.get_logger("github")


class GithubService:
    """Receives deliveries, works on them, and tells GitHub what came of it. `run` is the whole of it.

    Args:
        database: the queue is in it.
        client: speaks with GitHub.
        secrets: of the webhook.
        urls: where statuses point to.
        cluster_status: how a cluster can be reached through this process, by its id.
        attempts: tries of a delivery.
    """

    def __init__(
        self,
        *,
        database: Database,
        client: GithubClient,
        secrets: Sequence[bytes],
        urls: Urls,
        cluster_status: Callable[[str], ClusterStatus],
        attempts: int,
        clock: Callable[[], float] = time.time,
        random_number: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._client = client
        self.installing = Installing(database, client)
        self._pull_requests = PullRequests(database, client, self.installing, dashboard_url=urls.dashboard)
        self.worker = Worker(database, self._work, attempts=attempts, clock=clock, random_number=random_number)
        self.receiver = WebhookReceiver(database, secrets, on_queued=self.worker.wake)
        self.sender = StatusSender(database, client, clock=clock, random_number=random_number)
        self.keeper = StatusKeeper(database, cluster_status=cluster_status, urls=urls, on_said=self.sender.wake)
        self._linked = trio.Event()
        database.subscribe(self._heard)

    def cluster_came_online(self, cluster_id: str) -> None:
        """To be called when the first tunnel of a cluster is there."""
        self.keeper.cluster_came_online(cluster_id)

    async def run(self) -> None:
        """Works for ever."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.worker.run)
                nursery.start_soon(self.keeper.run)
                nursery.start_soon(self.sender.run)
                nursery.start_soon(self._keep_house)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await self._client.close()

    def _heard(self, change: Change) -> None:
        self.keeper.heard(change)
        if change.kind == "org":
            self._linked.set()  # perhaps it was linked to an account just now

    async def _work(self, hint: Hint, delivery: Delivery) -> str:
        if isinstance(hint, PullRequestHint):
            note = await self._pull_requests.work(hint, guid=delivery.guid, attempt=delivery.attempt)
        else:
            note = await self.installing.work(hint)
        self.sender.wake()  # a failure may have been said
        return note

    async def _keep_house(self) -> None:
        while True:
            self._linked = trio.Event()
            await self._guarded("installations_not_asked", self.installing.bring_all_up_to_date)
            await self._guarded("deliveries_not_swept", partial(self._database.write, deliveries.sweep))
            await self._guarded("statuses_not_swept", partial(self._database.write, statuses.sweep))
            with trio.move_on_after(SYNC_SECONDS):
                await self._linked.wait()

    async def _guarded(self, trouble: str, step: Callable[[], Awaitable[object]]) -> None:
        """Takes a step of the housekeeping; one that fails is taken again the next time."""
        try:
            await step()
        except RelayError as error:
            log.warning(trouble, problem=error.code)
        except Exception:
            log.exception(trouble)
