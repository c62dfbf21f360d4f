"""A Kubernetes API server of our own, as its authors build it, with its etcd: from `scripts/kube-apiserver`.

There is no controller manager and no kubelet beside it: nothing makes pods of deployments or collects garbage.
"""

import contextlib
import json
import secrets
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from certs import Authority, write_file
from tests.support.https import ClosedError, Connection
from tests.support.processes import ROOT, ProcessError, Running

START_SECONDS = 90.0
POLL_SECONDS = 0.1
HOST = "127.0.0.1"


def folder_of_programs() -> Path | None:
    """Where etcd, kube-apiserver and kubectl are; None where they are not built."""
    told = subprocess.run(
        [ROOT / "scripts" / "kube-apiserver", "--where"], check=True, capture_output=True, text=True
    ).stdout
    folder = Path(told.strip())
    return folder if (folder / "complete").exists() else None


class ApiServer:
    """A running one: RBAC, its own certificate authority, an admin's token."""

    def __init__(self, process: Running, etcd_url: str, folder: Path, port: int) -> None:
        self._process = process
        self._etcd_url = etcd_url
        self.port = port
        self.url = f"https://{HOST}:{port}"
        self.ca_file = folder / "ca.pem"
        self.admin_token = (folder / "tokens.csv").read_text().partition(",")[0]

    def forget_history(self) -> None:
        """Compacts etcd up to now; of leases alone the API server remembers no more than etcd."""
        newest = self._etcd("range", {"key": "AA=="})["header"]["revision"]
        self._etcd("compaction", {"revision": newest, "physical": True})

    def wait_until_ready(self) -> None:
        """Waits until it says that it is. Raises ProcessError."""
        deadline = time.monotonic() + START_SECONDS
        pause = threading.Event()
        while not self._ready():
            if self._process.returncode is not None or time.monotonic() > deadline:
                raise ProcessError(f"the API server does not become ready\n{self._process.tail()}")
            pause.wait(POLL_SECONDS)

    def _ready(self) -> bool:
        try:
            with Connection(self.port, server_name=HOST, ca_file=self.ca_file) as connection:
                return connection.request("GET", "/readyz", HOST).status == 200
        except (OSError, ClosedError):
            return False

    def _etcd(self, what: str, question: dict[str, object]) -> dict[str, dict[str, str]]:
        request = urllib.request.Request(f"{self._etcd_url}/v3/kv/{what}", data=json.dumps(question).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:  # noqa: S310 - on loopback
            told: dict[str, dict[str, str]] = json.load(answer)
            return told


@contextmanager
def api_server(programs: Path) -> Iterator[ApiServer]:
    """One for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="relay-kubernetes-") as name:
        folder = Path(name)
        _write_secrets(folder)
        client_port, peer_port, port = _free_ports(3)
        etcd_url = f"http://{HOST}:{client_port}"
        with (
            Running(_etcd_command(programs, folder, etcd_url, peer_port), name="etcd") as etcd,
            Running(_api_server_command(programs, folder, etcd_url, port), name="kube-apiserver") as process,
        ):
            etcd.wait_for_line("ready to serve client requests")
            server = ApiServer(process, etcd_url, folder, port)
            server.wait_until_ready()
            yield server


def _write_secrets(folder: Path) -> None:
    authority = Authority.create()
    write_file(folder / "ca.pem", authority.pem, mode=0o644)
    authority.leaf([HOST, "localhost"]).write(folder / "server.pem", folder / "server.key")
    # What signs the tokens of service accounts; any key pair does.
    authority.leaf(["localhost"]).write(folder / "accounts.pem", folder / "accounts.key")
    admin = f'{secrets.token_urlsafe(24)},admin,admin,"system:masters"\n'
    write_file(folder / "tokens.csv", admin.encode(), mode=0o600)


def _etcd_command(programs: Path, folder: Path, url: str, peer_port: int) -> list[str | Path]:
    peer = f"http://{HOST}:{peer_port}"
    return [
        programs / "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nothing here has to survive a loss of power
    ]


def _api_server_command(programs: Path, folder: Path, etcd_url: str, port: int) -> list[str | Path]:
    return [
        programs / "kube-apiserver",
        f"--etcd-servers={etcd_url}",
        f"--bind-address={HOST}",
        f"--secure-port={port}",
        f"--cert-dir={folder}",
        f"--tls-cert-file={folder / 'server.pem'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={folder / 'accounts.pem'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        # Without a watch cache, what etcd has forgotten is gone at once: `forget_history` shows in these.
        "--watch-cache-sizes=leases.coordination.k8s.io#0",
        # It would wait for the default account of a namespace, which the controller manager makes.
        "--disable-admission-plugins=ServiceAccount",
    ]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
