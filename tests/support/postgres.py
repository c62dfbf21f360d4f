"""A PostgreSQL server of our own for the time of a test, where Debian's package is installed."""

import os
import pwd
import shutil
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.processes import Running, clean_environment

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def why_not() -> str:
    """Why no server can be started here; empty when one can."""
    if not BINARIES or not (BINARIES[-1] / "initdb").exists():
        return "no PostgreSQL server is installed"
    if shutil.which("psql") is None:
        return "psql is not installed"
    if os.geteuid() == 0 and _other_user() is None:
        return "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
    return ""


def _other_user() -> str | None:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


class PostgresServer(AbstractContextManager["PostgresServer"]):
    """Listens on a loopback port; the user is `tester`, the database `postgres`, and no password is asked for."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        as_other = [] if os.geteuid() else ["setpriv", f"--reuid={_other_user()}", "--clear-groups"]
        data = folder / "data"
        data.mkdir()
        if as_other:
            user = pwd.getpwnam(_other_user() or "")
            os.chown(data, user.pw_uid, user.pw_gid)
        options = ("--auth=trust", "--username=tester", "--no-sync", "--encoding=UTF8", "--locale=C")
        subprocess.run(
            [*as_other, BINARIES[-1] / "initdb", "--pgdata", data, *options],
            env=clean_environment(), check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        listen = ("-h", "127.0.0.1", "-p", str(port), "-k", "", "-F")
        self._process = Running([*as_other, BINARIES[-1] / "postgres", "-D", data, *listen], name="postgres")
        try:
            self._process.wait_for_line("ready to accept connections")
        except BaseException:
            self._process.close()
            raise

    def __exit__(self, *_error: object) -> None:
        self._process.close()
