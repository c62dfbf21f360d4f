"""Bringing all that is sealed under a new key while the relay serves; blocks, for the command line."""

import time
from collections.abc import Callable

from relay.store import keys
from relay.store.database import Database

BATCH_ROWS = 100
"""Rows of one write: some ten milliseconds, for which other writers wait."""
SCAN_SECONDS = 300.0
"""Counting reads everything there is."""


def rotate(database: Database, *, say: Callable[[str], None], batch_rows: int = BATCH_ROWS) -> None:
    """Makes a new sealing key the active one, seals everything under it, and retires the keys before it.

    Where an earlier call was interrupted, this one goes on with its key. Other processes may read and write meanwhile.
    `say` gets one line of progress after each batch. Raises StoreUnavailableError; then call it again.
    """
    active, is_new = database.write_now(keys.start_rotation, database.ring)
    say(f"the active key is {active}" + ("" if is_new else ": going on with the rotation to it"))
    for table in keys.SEALED_TABLES:
        cursor = ""
        while True:
            stale, cursor = database.read_now(keys.find_stale, table, cursor)
            for start in range(0, len(stale), batch_rows):
                started = time.monotonic()
                resealed = database.write_now(keys.reseal, table, stale[start : start + batch_rows])
                say(f"{table.name}: {resealed} values sealed anew")
                time.sleep(time.monotonic() - started)  # half of the time belongs to others
            if not cursor:
                break
    with database.transaction(writes=False, seconds=SCAN_SECONDS) as transaction:
        counts = keys.count_values(transaction)
    left = counts.total() - counts[active]
    if left:
        # Only something that writes without looking at the ring can have done that.
        say(f"{left} values are sealed under other keys still; run it once more")
        return
    retired = database.write_now(keys.finish_rotation, active)
    if retired is None:
        say("another rotation has begun meanwhile, and retires the keys before it")
        return
    for key_id in retired:
        say(f"key {key_id} is retired: it is kept until the last token that was hashed with it has been used")
    for key_id in database.write_now(keys.remove_unused):
        say(f"key {key_id} is deleted: nothing refers to it")
