"""A PostgreSQL server of our own for the time of a test run, where Debian's package is installed."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psutil
import psycopg

from certs import Authority
from tests.support.processes import Running, clean_environment

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name.split(".")[0]))


def why_not() -> str:
    """Why no server can be started here; empty when one can."""
    if not BINARIES or not (BINARIES[-1] / "initdb").exists():
        return "no PostgreSQL server is installed"
    if shutil.which("psql") is None:
        return "psql is not installed"
    if os.geteuid() == 0 and _other_user() is None:
        return "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
    return ""


def program(name: str) -> Path:
    """A program of PostgreSQL: those of the server are not on PATH."""
    return BINARIES[-1] / name


def _other_user() -> str | None:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _as_other() -> list[str]:
    return [] if os.geteuid() else ["setpriv", f"--reuid={_other_user()}", "--clear-groups"]


class PostgresServer(AbstractContextManager["PostgresServer"]):
    """Listens on a loopback port; the user is `tester`, the database `postgres`.

    Without `authority` nothing is asked for. With one, the server has a certificate of it for 127.0.0.1, takes nothing
    but TLS, and asks for `password` (SCRAM-SHA-256).
    """

    def __init__(self, folder: Path, port: int, *, authority: Authority | None = None) -> None:
        self.port = port
        self.password = secrets.token_urlsafe(12)
        self.ca_file = folder / "ca.pem"
        self._data = folder / "data"
        self._data.mkdir()
        self._give(self._data)
        password_file = folder / "password"
        password_file.write_text(self.password)
        self._give(password_file)
        how = ("--auth=trust",) if authority is None else ("--auth=scram-sha-256", f"--pwfile={password_file}")
        options = (*how, "--username=tester", "--no-sync", "--encoding=UTF8", "--locale=C")
        subprocess.run(
            [*_as_other(), program("initdb"), "--pgdata", self._data, *options],
            env=clean_environment(), check=True, capture_output=True, cwd="/",
        )  # fmt: skip
        self._options: tuple[str, ...] = ()
        if authority is not None:
            self._encrypt(authority)
        self.start()

    def _give(self, path: Path) -> None:
        if not os.geteuid():
            os.chown(path, pwd.getpwnam(_other_user() or "").pw_uid, -1)

    def _encrypt(self, authority: Authority) -> None:
        certificate, key = self._data / "server.crt", self._data / "server.key"
        authority.leaf(["127.0.0.1"]).write(certificate, key)
        self.ca_file.write_bytes(authority.pem)
        self._give(certificate)
        self._give(key)
        (self._data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        self._options = ("-c", "ssl=on")

    def start(self) -> None:
        """Starts it, again too, and waits until it takes connections."""
        # -F: nothing here has to survive a loss of power.
        listen = ("-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-F", *self._options)
        self._process = Running([*_as_other(), program("postgres"), "-D", self._data, *listen], name="postgres")
        try:
            self._process.wait_for_line("ready to accept connections")
        except BaseException:
            self._process.close()
            raise

    def stop(self) -> None:
        """Ends it at once, and all connections with it."""
        self._process.signal(signal.SIGINT)  # SIGTERM would wait for the clients
        self._process.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """All of its processes stand still; the kernel still takes connections for it."""
        parent = psutil.Process(self._process.pid)
        stopped = [parent, *parent.children(recursive=True)]
        for process in stopped:
            process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                if process.is_running():
                    process.resume()

    def url(self, database: str = "postgres", *, password: bool = True) -> str:
        """Where the relay finds a database of it."""
        secret = f":{self.password}" if password else ""
        return f"postgresql://tester{secret}@127.0.0.1:{self.port}/{database}?sslrootcert={self.ca_file}"

    def create_database(self, template: str | None = None) -> str:
        """A new database, a copy of `template` or empty; gives its name."""
        name = f"t{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template or 'template1'}".encode())
        return name

    def drop_database(self, name: str) -> None:
        """Removes one."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def connect(self, database: str = "postgres") -> "psycopg.Connection[tuple[object, ...]]":
        """A connection as the owner of everything."""
        return psycopg.connect(self.url(database) + "&sslmode=verify-full", autocommit=True)

    def run(self, name: str, *arguments: str | Path, database: str) -> str:
        """Runs a program of PostgreSQL, such as `pg_dump`, on a database; gives its output."""
        connection = f"host=127.0.0.1 port={self.port} user=tester dbname={database} sslmode=verify-full"
        done = subprocess.run(
            [program(name), *arguments, "--dbname", f"{connection} sslrootcert={self.ca_file}"],
            env=clean_environment({"PGPASSWORD": self.password}), check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def __exit__(self, *_error: object) -> None:
        self.stop()


@contextmanager
def encrypted_server(port: int) -> Iterator[PostgresServer]:
    """A server that takes nothing but TLS and asks for a password, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="relay-postgres-") as name:
        Path(name).chmod(0o755)  # the server's user is not ours
        with PostgresServer(Path(name), port, authority=Authority.create()) as server:
            yield server


@contextmanager
def free_server() -> Iterator[PostgresServer]:
    """An encrypted server on a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with encrypted_server(port) as server:
        yield server
