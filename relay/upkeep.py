"""What a relay process does now and then beside serving: records of use, sweeps, watching the database."""

import itertools
import math

import structlog
import trio

from relay.errors import RelayError
from relay.store import Database, LoginLookups, Lookups, clusters, logins, workspaces
from relay.tunnels import Registry

SWEEP_SECONDS = 30.0  # how late a workspace whose time is over is deleted
SEEN_SECONDS = 60.0  # how precise a cluster's last-seen time is after a crash
SWEEP_MINUTES = 5  # what has run out counts for nothing anyway; this keeps the tables small
OUTAGE_LOG_SECONDS = 30.0

log = structlog.get_logger()


class Upkeep:
    """The recurring work of one process; several processes may do it on one database."""

    def __init__(self, database: Database, lookups: Lookups, logins: LoginLookups, registry: Registry) -> None:
        self._database = database
        self._lookups = lookups
        self._logins = logins
        self._registry = registry

    async def run(self) -> None:
        """Works for ever: what fails is logged and tried again the next time."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._logins.run)
            nursery.start_soon(self._watch_database)
            nursery.start_soon(self._sweep_workspaces)
            nursery.start_soon(self._keep_records)

    async def _watch_database(self) -> None:
        """Notices what other processes change in the database, so that a revocation counts at once here too."""
        said_at = -math.inf

        def say(error: RelayError) -> None:
            nonlocal said_at
            if trio.current_time() > said_at + OUTAGE_LOG_SECONDS:  # it looks about twice a second
                said_at = trio.current_time()
                log.warning("database_not_watched", problem=str(error))

        await self._database.watch(on_error=say)

    async def _sweep_workspaces(self) -> None:
        """Deletes workspaces whose time to live is over; several processes may do it at once."""
        while True:
            try:
                while await self._database.read(workspaces.has_expired):
                    removed = await self._database.write(workspaces.remove_expired)
                    log.info("workspaces_expired", count=removed)
            except RelayError as error:
                log.warning("workspaces_not_swept", problem=str(error))
            await trio.sleep(SWEEP_SECONDS)

    async def _keep_records(self) -> None:
        """Writes down now and then which credentials were used and which clusters were there; removes what is over."""
        for minutes in itertools.count(1):
            await trio.sleep(SEEN_SECONDS)
            await self.record()
            if minutes % SWEEP_MINUTES == 0:
                await self._sweep_logins()

    async def _sweep_logins(self) -> None:
        try:
            await self._database.write(logins.sweep)
        except RelayError as error:
            log.warning("logins_not_swept", problem=str(error))

    async def record(self) -> None:
        """Writes down which credentials were used and which clusters are there."""
        try:
            await self._lookups.record_usage()
            await self._logins.record_usage()
            identities = [self._registry.identity(tunnel) for tunnel in self._registry]
            online = {identity.cluster_id for identity in identities if identity is not None}
            await self._database.write(clusters.record_seen, online)
        except RelayError as error:
            log.warning("records_not_written", problem=str(error))
