"""What the hot path asks of the store, answered from memory: principals, agents, routes."""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence

from sqlalchemy import Table

from relay.auth import Principal, Token, TokenKind, parse
from relay.errors import UnauthenticatedError
from relay.routing import RouteTable
from relay.store import api_keys, cluster_tokens, clusters, keys, orgs, workspaces
from relay.store.database import Database
from relay.store.flight import FlightCache, K, V
from relay.store.gather import Gathered
from relay.store.records import AgentIdentity, Change, Cluster, Org
from relay.store.schema import api_keys as api_keys_table
from relay.store.schema import cluster_tokens as tokens_table

CREDENTIALS = 20_000
"""Credentials kept: about 1 KiB each, more than are in use at a time on one machine."""
WORKSPACES = 20_000
"""Workspaces whose routes are kept."""
MISSING = 20_000
"""Unknown keys kept; a guesser pays at most one query for each new guess with a right checksum."""
FOUND_SECONDS = 300.0
"""Changes made through this database are seen at once; this bounds the rest, such as a row edited by hand."""
MISSING_SECONDS = 30.0
REHASHED = 1000
"""Tokens hashed anew at a time; others have their turn when they are presented again."""


class Lookups:
    """Cached, single-flight look-ups that forget at once what a write on the same database changes.

    Credentials are never kept in clear: the caches' keys are keyed hashes under a key of this process.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._hash_key = secrets.token_bytes(32)
        self._principals: FlightCache[bytes, Principal] = _cache(CREDENTIALS, clock)
        self._agents: FlightCache[bytes, AgentIdentity] = _cache(CREDENTIALS, clock)
        self._routes: FlightCache[tuple[str, str], RouteTable] = _cache(WORKSPACES, clock)
        self._orgs: FlightCache[str, Org] = _cache(WORKSPACES, clock)
        # What comes in crowds: agents after a restart, hosts that nobody has visited for a while.
        self._gathered_agents = Gathered(lambda tokens: database.read(cluster_tokens.find_identities, tokens))
        self._gathered_routes = Gathered(lambda names: database.read(workspaces.find_all_routes, names))
        self._used_keys: set[str] = set()
        self._used_tokens: set[str] = set()
        self._old_hashes: dict[Table, list[tuple[str, Sequence[bytes]]]] = {api_keys_table: [], tokens_table: []}
        self.generation = 0
        """Grows with every change that was heard of: whoever keeps an answer compares it."""
        database.subscribe(self._forget)

    def principal_nowait(self, api_key: str) -> Principal | None:
        """Whom an API key stands for if that is in memory, else None: then ask `principal`."""
        principal = self._principals.get_nowait(self._key(api_key))
        if principal is not None:
            self._used_keys.add(principal.credential_id)
        return principal

    def was_good(self, api_key: str) -> bool:
        """Whether an API key was good when it was last looked at here and nothing was heard of its end since."""
        return self._principals.has_had(self._key(api_key))

    async def principal(self, api_key: str) -> Principal:
        """Whom an API key stands for.

        Raises UnauthenticatedError when it is malformed (the database is not asked), unknown or revoked, and
        StoreUnavailableError.
        """
        token = parse(api_key, kind=TokenKind.API_KEY)
        principal = await self._principals.get(
            self._key(api_key), lambda: self._database.read(api_keys.find_principal, token)
        )
        if principal is None:
            raise UnauthenticatedError("the API key is unknown or was revoked")
        self._note_hashes(api_keys_table, token)
        self._used_keys.add(principal.credential_id)
        return principal

    async def agent_identity(self, cluster_token: str) -> AgentIdentity:
        """Which cluster a cluster token stands for; raises as `principal` does."""
        token = parse(cluster_token, kind=TokenKind.CLUSTER_TOKEN)
        identity = await self._agents.get(self._key(cluster_token), lambda: self._gathered_agents.get(token))
        if identity is None:
            raise UnauthenticatedError("the cluster token is unknown or was revoked")
        self._note_hashes(tokens_table, token)
        self._used_tokens.add(identity.token_id)
        return identity

    def routes_nowait(self, org_id: str, workspace: str) -> RouteTable | None:
        """The routes of a workspace if they are in memory, else None: then ask `routes`."""
        return self._routes.get_nowait((org_id, workspace))

    async def routes(self, org_id: str, workspace: str) -> RouteTable | None:
        """The routes of the org's workspace of that name, None when there is none. Raises StoreUnavailableError."""
        key = (org_id, workspace)
        return await self._routes.get(key, lambda: self._gathered_routes.get(key))

    async def org(self, name: str) -> Org | None:
        """The org of that name, None when there is none. Raises StoreUnavailableError."""
        return await self._orgs.get(name, lambda: self._database.read(orgs.find, name))

    async def cluster(self, org_id: str, name: str) -> Cluster | None:
        """The org's cluster of that name, None when there is none; not cached. Raises StoreUnavailableError."""
        return await self._database.read(clusters.find, org_id, name)

    async def record_usage(self) -> None:
        """Writes down which credentials were used since the last call, and hashes them anew where that is due.

        Raises StoreUnavailableError; the next call writes them then.
        """
        used_keys, tokens = self._used_keys.copy(), self._used_tokens.copy()
        if used_keys:
            await self._database.write(api_keys.record_used, used_keys)
            self._used_keys -= used_keys
        if tokens:
            await self._database.write(cluster_tokens.record_used, tokens)
            self._used_tokens -= tokens
        for table, hashes in self._old_hashes.items():
            if noted := hashes.copy():
                await self._database.write(keys.rehash, table, noted)
                del hashes[: len(noted)]

    def _note_hashes(self, table: Table, token: Token) -> None:
        """While the ring has several keys: the token may have been hashed with the pepper of an earlier one."""
        sealer = self._database.sealer
        noted = self._old_hashes[table]
        if len(sealer.key_ids) > 1 and len(noted) < REHASHED:
            noted.append((sealer.active.id, sealer.token_hashes(token)))

    def _key(self, credential: str) -> bytes:
        # Anything may be presented: what is not ASCII is no credential, and hashes to itself's replacement.
        return hashlib.blake2b(credential.encode("utf-8", "replace"), key=self._hash_key, digest_size=16).digest()

    def _forget(self, change: Change) -> None:
        self.generation += 1
        match change.kind:
            case "api_key":
                self._principals.forget_if(lambda principal: principal.credential_id == change.id)
            case "cluster_token":
                self._agents.forget_if(lambda agent: agent.token_id == change.id)
            case "workspace":
                self._routes.forget((change.org_id, change.name))
            case "cluster":
                self._agents.forget_if(lambda agent: agent.cluster_id == change.id)
                self._routes.forget_if(lambda table: any(route.cluster_id == change.id for route in table))
            case "org":
                self._principals.clear()
                self._agents.clear()
                self._routes.clear()
                self._orgs.clear()


def _cache(size: int, clock: Callable[[], float]) -> FlightCache[K, V]:
    return FlightCache(
        found=size,
        found_seconds=FOUND_SECONDS,
        missing=MISSING,
        missing_seconds=MISSING_SECONDS,
        clock=clock,
    )
