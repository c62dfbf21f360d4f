"""The ring of sealing keys: kept in the database, each wrapped under the master key, seen by every transaction."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from relay.auth import MasterKey, Sealer, SealingKey, UnsealError, unwrap, wrap
from relay.errors import ConfigurationError, StoreUnavailableError
from relay.store.schema import orgs, sealing_keys

ACTIVE: Literal["active"] = "active"
"""The one key that new values are sealed under."""
RETIRING: Literal["retiring"] = "retiring"
"""Values are still sealed under it, and are being brought under the active one."""
RETIRED: Literal["retired"] = "retired"
"""Seals nothing any more; hashes of tokens were made with its pepper."""

_STATES = select(sealing_keys.c.id, sealing_keys.c.state).order_by(sealing_keys.c.created_at, sealing_keys.c.id)


class WrongMasterKeyError(StoreUnavailableError):
    """The sealing keys are wrapped under a master key that is not at hand."""


class KeyRing:
    """The sealing keys as this process knows them; `at` brings them to what one transaction sees.

    Args:
        masters: the master keys, the one in use first.
        masters_again: reads them again, for when a key turns up that is wrapped under a newer one.
    """

    def __init__(
        self, masters: Sequence[MasterKey], masters_again: Callable[[], Sequence[MasterKey]] | None = None
    ) -> None:
        self.masters = tuple(masters)
        self._masters_again = masters_again
        self._keys: dict[str, SealingKey] = {}
        # Until there is a ring: what a database that was made before rings is sealed under.
        self._present: tuple[Sequence[tuple[str, str]], Sealer] = ((), Sealer(self.masters[-1]))

    @property
    def sealer(self) -> Sealer:
        """Of the ring as it was last seen."""
        return self._present[1]

    def at(self, connection: Connection) -> Sealer:
        """The sealer for a transaction, by the ring that it sees: one query of few rows, mostly nothing else.

        Raises WrongMasterKeyError.
        """
        states = [(row[0], row[1]) for row in connection.execute(_STATES)]
        known, sealer = self._present
        if states != known:
            sealer = self._load(connection, states)
            self._present = (states, sealer)
        return sealer

    def _load(self, connection: Connection, states: Sequence[tuple[str, str]]) -> Sealer:
        active = [key_id for key_id, state in states if state == ACTIVE]
        if len(active) != 1:
            raise StoreUnavailableError("the database has no active sealing key: its schema is not up to date")
        if any(key_id not in self._keys for key_id, _ in states):
            keys = {row["id"]: self._unwrap(row) for row in connection.execute(select(sealing_keys)).mappings()}
            self._keys = self._keys | keys
        others = [self._keys[key_id] for key_id, state in reversed(states) if state != ACTIVE]
        return Sealer(self._keys[active[0]], others=others)

    def _unwrap(self, row: RowMapping) -> SealingKey:
        if row["id"] in self._keys:
            return self._keys[row["id"]]
        master = self._require_master(row["master_id"])
        try:
            return SealingKey(secret=unwrap(master, row["wrapped"], label=_label(row["id"])))
        except UnsealError as error:
            raise WrongMasterKeyError(f"wrong key: {error}") from error

    def _require_master(self, master_id: str) -> MasterKey:
        master = self._find_master(master_id)
        if master is None:
            known = ", ".join(master.id for master in self.masters)
            raise WrongMasterKeyError(
                f"wrong key: the database's sealing keys are wrapped under the master key {master_id},"
                f" and keys.master holds {known}"
            )
        return master

    def _find_master(self, master_id: str) -> MasterKey | None:
        found = next((master for master in self.masters if master.id == master_id), None)
        if found is None and self._masters_again is not None:
            try:
                self.masters = tuple(self._masters_again())
            except ConfigurationError as error:  # it was fine at the start: somebody is copying it, say
                raise WrongMasterKeyError(
                    f"the database's sealing keys are wrapped under the master key {master_id},"
                    f" and the key file cannot be read again: {error}"
                ) from error
            found = next((master for master in self.masters if master.id == master_id), None)
        return found

    def is_empty(self, connection: Connection) -> bool:
        """Whether the database has no sealing keys yet."""
        return connection.execute(select(sealing_keys.c.id).limit(1)).first() is None

    def begin(self, connection: Connection, now: float) -> None:
        """Puts the first key into an empty ring: a random one, or what the data that is there is sealed under."""
        if not self.is_empty(connection):
            return
        used = connection.execute(select(orgs.c.id).limit(1)).first() is not None
        self.add(connection, SealingKey(secret=self.masters[-1].secret) if used else SealingKey.mint(), now)

    def add(self, connection: Connection, key: SealingKey, now: float) -> None:
        """Makes a key the active one; what was active is retiring.

        The new one is wrapped under the same master key as that: another one, which this process still takes for the
        first, may have been retired meanwhile. Raises WrongMasterKeyError.
        """
        active = sealing_keys.c.state == ACTIVE
        wanted = connection.execute(select(sealing_keys.c.master_id).where(active)).scalar_one_or_none()
        master = self.masters[0] if wanted is None else self._require_master(wanted)
        connection.execute(update(sealing_keys).where(active).values(state=RETIRING))
        values = {"id": key.id, "state": ACTIVE, "created_at": now, **_wrapped(master, key)}
        connection.execute(insert(sealing_keys).values(values))

    def rewrap(self, connection: Connection) -> int:
        """Wraps every key that is not so yet under the first master key; gives how many those were."""
        query = select(sealing_keys).where(sealing_keys.c.master_id != self.masters[0].id)
        rows = connection.execute(query).mappings().all()
        for row in rows:
            values = _wrapped(self.masters[0], self._unwrap(row))
            connection.execute(update(sealing_keys).where(sealing_keys.c.id == row["id"]).values(values))
        return len(rows)

    def use_masters(self, masters: Sequence[MasterKey]) -> None:
        """Goes on with these master keys."""
        self.masters = tuple(masters)


def retire(connection: Connection, key_ids: Iterable[str]) -> None:
    """Notes that nothing is sealed under these keys any more."""
    connection.execute(update(sealing_keys).where(sealing_keys.c.id.in_(list(key_ids))).values(state=RETIRED))


def remove(connection: Connection, key_ids: Iterable[str]) -> None:
    """Forgets keys for good."""
    connection.execute(delete(sealing_keys).where(sealing_keys.c.id.in_(list(key_ids))))


def _wrapped(master: MasterKey, key: SealingKey) -> dict[str, object]:
    return {"wrapped": wrap(master, key.secret, label=_label(key.id)), "master_id": master.id}


def _label(key_id: str) -> str:
    return f"sealing key {key_id}"
