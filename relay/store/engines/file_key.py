"""The key of an encrypted database file: derived from the master key, or kept beside the file, wrapped under it.

As long as there was one master key only, the file key is derived from it and nothing is kept. The first new master key
puts the file key into `<database>.key`, wrapped, so that the file itself need not be encrypted anew.
"""

import base64
import binascii
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from relay.auth import MasterKey, UnsealError, unwrap, wrap
from relay.errors import ConfigurationError

_LABEL = "sqlcipher file key"


def side_file(database: Path) -> Path:
    """Where the wrapped file key of a database file is kept."""
    return database.with_name(database.name + ".key")


def candidate_keys(database: Path, masters: Sequence[MasterKey]) -> Iterator[bytes]:
    """The file keys that may open the database, the likeliest first.

    Raises ConfigurationError where the file key is wrapped under none of these master keys.
    """
    path = side_file(database)
    if not path.exists():
        yield from (master.derive("sqlcipher") for master in masters)
        return
    wrapped = _read(path)
    for master in masters:
        if master.id in wrapped:
            try:
                yield unwrap(master, wrapped[master.id], label=_LABEL)
            except UnsealError as error:
                raise ConfigurationError(f"{path}: {error}") from error
            return
    known = ", ".join(master.id for master in masters)
    raise ConfigurationError(
        f"store.url: wrong key: {path} needs the master key {' or '.join(wrapped)}, and keys.master holds {known}"
    )


def write_side_file(database: Path, key: bytes, masters: Sequence[MasterKey]) -> None:
    """Keeps the file key wrapped under each of these master keys, in one step and durably. Raises OSError."""
    path = side_file(database)
    lines = [f"{master.id} {base64.b64encode(wrap(master, key, label=_LABEL)).decode('ascii')}\n" for master in masters]
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600), "w") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read(path: Path) -> dict[str, bytes]:
    """Wrapped file keys by the id of the master key."""
    try:
        lines = path.read_text(encoding="ascii").split("\n")
        fields = [line.split() for line in lines if line]
        return {master_id: base64.b64decode(blob, validate=True) for master_id, blob in fields}
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except (ValueError, binascii.Error) as error:
        raise ConfigurationError(f"{path}: not a file of wrapped keys") from error
