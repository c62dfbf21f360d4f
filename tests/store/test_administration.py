"""The commands `keys` and `db`, as an operator runs them, on both engines."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from certs import write_file
from relay import administration
from relay.auth import MasterKey, Token, parse, print_master_keys
from relay.auth.master import mint_master_key
from relay.errors import ConfigurationError
from relay.setup import load_master_keys
from relay.store import Database, api_keys, orgs
from relay.store.keys import find_masters
from tests.store.conftest import OpenDatabase
from tests.support.deployment import Deployment
from tests.support.processes import run_module


@pytest.fixture
def deployment(tmp_path: Path, request: pytest.FixtureRequest, engine: str) -> Iterator[Deployment]:
    folder = tmp_path / "relay"
    folder.mkdir()
    with Deployment(folder) as made:
        if engine == "postgresql":
            server, name = request.getfixturevalue("server"), request.getfixturevalue("name")
            (folder / "db.password").write_text(server.password)
            (folder / "db.password").chmod(0o600)
            (folder / "db-ca.pem").write_bytes(server.ca_file.read_bytes())
            url = f"postgresql://tester@127.0.0.1:{server.port}/{name}?sslrootcert=db-ca.pem"
            text = made.config.read_text()
            made.config.write_text(text.replace('"sqlite:///relay.db"', f'"{url}"\npassword_file = "db.password"'))
        made.init()
        yield made


def command(deployment: Deployment, *arguments: str, code: int = 0) -> str:
    """Runs `signadot-relay ...`; gives what it printed."""
    done = run_module("relay", *arguments[:2], "--config", deployment.config, *arguments[2:])
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr if code else done.stdout


def open_store(deployment: Deployment, key_file: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {"SIGNADOT_RELAY__KEYS__MASTER": str(key_file)} if key_file else {}
    return run_module("relay", "check", "--config", deployment.config, environment=environment)


def test_status_shows_what_there_is_and_no_secret(deployment: Deployment, engine: str) -> None:
    printed = command(deployment, "db", "status")
    assert {"sqlite": "SQLCipher", "postgresql": "TLSv1.3"}[engine] in printed
    assert re.search(r"schema    (\w+) \(the newest\)", printed)
    assert re.search(r"^size      [0-9]{5,9} bytes$", printed, re.MULTILINE)
    assert re.search(r"^ +1 orgs$", printed, re.MULTILINE)
    assert re.search(r"key [0-9a-f]{8} active .* 1 tokens", printed)
    secrets = [deployment.api_key, deployment.org, (deployment.folder / "master.key").read_text().strip()]
    if engine == "postgresql":
        secrets.append((deployment.folder / "db.password").read_text())
    assert [secret for secret in secrets if secret in printed] == []
    assert "revision" in command(deployment, "db", "upgrade")


def test_a_rotation_is_seen_in_the_list(deployment: Deployment) -> None:
    old = re.findall(r"key (\w+) active", command(deployment, "keys", "list"))
    progress = command(deployment, "keys", "rotate")
    assert "values sealed anew" in progress
    assert f"key {old[0]} is retired" in progress
    listed = command(deployment, "keys", "list")
    assert re.search(rf"key {old[0]} retired .*: 0 values, 1 tokens", listed)
    assert len(re.findall(r"key \w+ active", listed)) == 1


def test_a_new_master_key_takes_over_under_a_running_relay_and_the_old_one_goes(deployment: Deployment) -> None:
    relay = deployment.start_relay()
    key_file = deployment.folder / "master.key"
    (old,) = load_master_keys(key_file)
    printed = command(deployment, "keys", "rotate", "--master")
    new, second = load_master_keys(key_file)
    assert second == old
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert new.id in printed
    assert f"wrapped under {new.id}" in command(deployment, "keys", "list")
    deployment.add_cluster("before-restart")
    command(deployment, "keys", "retire-master")
    assert load_master_keys(key_file) == (new,)
    assert "one master key only" in command(deployment, "keys", "retire-master", code=2)
    command(deployment, "keys", "rotate")
    deployment.add_cluster("under-a-key-of-the-new-master")
    relay.stop()
    assert open_store(deployment).returncode == 0
    relay = deployment.start_relay()
    deployment.add_cluster("after-restart")


def test_master_twice_drops_the_old_one_and_an_interrupted_one_is_finished(deployment: Deployment) -> None:
    key_file = deployment.folder / "master.key"
    old = key_file.read_text()
    key_file.write_text(mint_master_key() + old)  # as an interruption leaves it, or an operator who prepares hosts
    assert "`keys rotate --master` first" in command(deployment, "keys", "retire-master", code=2)
    command(deployment, "keys", "rotate", "--master")
    new, _ = load_master_keys(key_file)
    command(deployment, "keys", "rotate", "--master")
    assert load_master_keys(key_file) == (new,)
    assert open_store(deployment).returncode == 0


def test_two_changes_of_the_master_key_at_once_leave_a_database_that_opens(
    *,
    database: Database,
    open_database: OpenDatabase,
    master: MasterKey,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database.write_now(orgs.create, "acme")
    key_file = tmp_path / "master.key"
    key_file.write_text(print_master_keys((master,)))
    key_file.chmod(0o600)
    other = open_database()
    second_has_read = Event()

    def load_and_tell(path: Path) -> tuple[MasterKey, ...]:
        found = load_master_keys(path)
        second_has_read.set()
        return found

    def write_while_the_second_waits(path: Path, data: bytes, *, mode: int) -> None:
        monkeypatch.setattr(administration, "load_master_keys", load_and_tell)
        monkeypatch.setattr(administration, "write_file", write_file)
        seconds.append(pool.submit(administration.rotate_master, path, other))
        assert second_has_read.wait(10)
        write_file(path, data, mode=mode)

    monkeypatch.setattr(administration, "write_file", write_while_the_second_waits)
    seconds: list[Future[None]] = []
    with ThreadPoolExecutor(1) as pool:
        administration.rotate_master(key_file, database)
        with pytest.raises(ConfigurationError, match="changed by another command"):
            seconds[0].result(10)
    new, old = load_master_keys(key_file)
    assert old == master
    assert {master_id for _, master_id in database.read_now(find_masters)} == {new.id}
    for masters in ((new, old), (new,)):
        assert open_database(masters).read_now(orgs.find, "acme") is not None


def test_a_key_file_that_lacks_the_master_key_of_another_host_is_left_alone(
    database: Database, open_database: OpenDatabase, master: MasterKey, tmp_path: Path
) -> None:
    files = [tmp_path / "here.key", tmp_path / "there.key"]
    for file in files:
        file.write_text(print_master_keys((master,)))
        file.chmod(0o600)
    other = open_database()
    administration.rotate_master(files[0], database)
    before = files[1].read_bytes()
    with pytest.raises(ConfigurationError, match="copy the key file of the host that made it"):
        administration.rotate_master(files[1], other)
    assert files[1].read_bytes() == before
    assert {master_id for _, master_id in database.read_now(find_masters)} == {load_master_keys(files[0])[0].id}


def test_a_wrong_master_key_is_said_in_one_sentence(deployment: Deployment, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.write_text(mint_master_key())
    wrong.chmod(0o600)
    done = open_store(deployment, wrong)
    assert done.returncode == 2
    assert "wrong key" in done.stderr
    assert load_master_keys(wrong)[0].id in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.only("sqlite")
def test_a_copy_made_while_the_relay_serves_is_a_backup(deployment: Deployment, tmp_path: Path) -> None:
    relay = deployment.start_relay()
    deployment.add_cluster("c1")
    command(deployment, "keys", "rotate", "--master")
    copy = tmp_path / "copy.db"
    command(deployment, "db", "backup", str(copy))
    assert "exists" in command(deployment, "db", "backup", str(copy), code=2)
    deployment.add_cluster("c2")
    relay.stop()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert b"SQLite format" not in copy.read_bytes()
    answers(f"sqlite:///{copy}", deployment)
    (deployment.folder / "relay.db").unlink()
    copy.replace(deployment.folder / "relay.db")
    (tmp_path / "copy.db.key").replace(deployment.folder / "relay.db.key")
    deployment.start_relay()
    deployment.add_cluster("c2")


@pytest.mark.only("postgresql")
def test_a_dump_that_is_restored_answers_and_needs_its_key(
    deployment: Deployment, request: pytest.FixtureRequest, name: str, tmp_path: Path
) -> None:
    server = request.getfixturevalue("server")
    assert "tools of its own" in command(deployment, "db", "backup", str(tmp_path / "x"), code=2)
    dump = tmp_path / "relay.dump"
    server.run("pg_dump", "--format=custom", "--file", dump, database=name)
    assert b"acme" not in dump.read_bytes()
    restored = server.create_database()
    server.run("pg_restore", "--no-owner", dump, database=restored)
    answers(server.url(restored), deployment)
    deployment.config.write_text(deployment.config.read_text().replace(f"/{name}?", f"/{restored}?"))
    wrong = tmp_path / "wrong.key"
    wrong.write_text(mint_master_key())
    wrong.chmod(0o600)
    assert "wrong key" in open_store(deployment, wrong).stderr
    server.drop_database(restored)


def answers(url: str, deployment: Deployment) -> None:
    """A database knows the deployment's API key."""
    database = Database.open(url, load_master_keys(deployment.folder / "master.key"))
    token: Token = parse(deployment.api_key)
    principal = database.read_now(api_keys.find_principal, token)
    assert principal is not None
    assert principal.memberships[0].org == deployment.org
    database.close()
