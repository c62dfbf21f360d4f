"""Writing certificate and key files so that a reader never meets half of one, and a key is never readable by others."""

import os
import tempfile
from pathlib import Path

PRIVATE = 0o600
"""Mode of a key: its owner alone."""
PUBLIC = 0o644
"""Mode of a certificate: everyone may read it, which is what it is for."""


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Puts `data` in `path` in one step: a reader sees the old content or all of the new.

    The bytes stand in a file of mode 0600 from the first one on and reach the disk before the name does, so neither the
    umask nor a crash decides who can read a key or what is left of it.

    Raises:
        OSError: the folder cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
