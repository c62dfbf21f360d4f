"""The fake as tests hold it: the cluster, its server and its accounts."""

import json
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from certs import HTTP_ALPN, Authority, server_context, write_file
from tests.support.fake_kubernetes.access import ADMIN, service_account_user
from tests.support.fake_kubernetes.server import Server
from tests.support.fake_kubernetes.wire import Object
from tests.support.fake_kubernetes.workloads import Workloads
from tests.support.https_server import HttpsFake

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
CERTIFICATE_MODE, SECRET_MODE = 0o644, 0o600
EVERYTHING: tuple[Object, ...] = (
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
)
_RBAC = "rbac.authorization.k8s.io"


class FakeKubernetes(HttpsFake, Workloads):
    """A cluster whose API server is on a free loopback port for the time of the block.

    `folder` gets the CA's certificate, the server's certificate, and kubeconfigs. All methods may be called from any
    thread; those that wait block, so trio tests call them in a thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(clock)
        self.folder = folder
        self.ca_file = folder / "kubernetes-ca.pem"
        context = self._context(authority or Authority.create())
        self._server = Server(self.gateway.handle, context, port=port, release=self.troubles.release)
        self.port = self._server.port
        self.url = f"https://{HOST}:{self.port}"
        self.admin_token = self.tokens.issue(ADMIN)
        """May do everything."""

    # --- server -----------------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Ends all connections, and takes new ones with the same objects."""
        self.stop_listening()
        self.listen()

    def close_connections(self) -> None:
        """Ends all connections; new ones are taken all the time."""
        self._server.end_connections()

    def close(self) -> None:
        """Ends everything and gives the port back."""
        self._server.close()

    # --- accounts ---------------------------------------------------------------------------------------------------

    def service_account(
        self,
        namespace: str,
        name: str,
        *,
        rules: Sequence[Object] | None = EVERYTHING,
        namespaces: Sequence[str] | None = None,
    ) -> str:
        """Makes a service account with rights, and gives a token of it.

        `rules` are PolicyRules, everything by default and nothing when None, for what objects in the cluster bind. They
        hold in all namespaces, or in `namespaces` only.
        """
        self.add_namespace(namespace)
        if self.find("ServiceAccount", name, namespace) is None:
            metadata = {"name": name, "namespace": namespace}
            self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        if rules is not None:
            self._bind(namespace, name, rules, namespaces)
        return self.issue_token(namespace, name)

    def issue_token(self, namespace: str, name: str) -> str:
        """Another token of a service account; those before stay good."""
        return self.tokens.issue(service_account_user(namespace, name))

    def rotate_token(self, namespace: str, name: str) -> str:
        """A new token; all before are refused with 401 from now on."""
        self.tokens.expire_all_of(service_account_user(namespace, name))
        return self.issue_token(namespace, name)

    def expire_token(self, token: str) -> None:
        """A token is refused with 401 from now on."""
        self.tokens.expire(token)

    def write_service_account_files(self, folder: Path, namespace: str, token: str) -> Path:
        """Writes `token`, `ca.crt` and `namespace` as a pod finds them; gives the folder. Again: rotates."""
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / "ca.crt", self.ca_file.read_bytes(), mode=CERTIFICATE_MODE)
        write_file(folder / "namespace", namespace.encode(), mode=CERTIFICATE_MODE)
        write_file(folder / "token", token.encode(), mode=SECRET_MODE)
        return folder

    def kubeconfig(self, token: str | None = None, *, namespace: str = "default", name: str = "kubeconfig") -> Path:
        """A file for KUBECONFIG; the admin's unless a token is given."""
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "users": [{"name": "fake", "user": {"token": token or self.admin_token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": namespace}}],
        }
        path = self.folder / name
        write_file(path, json.dumps(config).encode(), mode=SECRET_MODE)  # JSON is YAML
        return path

    def _bind(self, namespace: str, name: str, rules: Sequence[Object], namespaces: Sequence[str] | None) -> None:
        api_version, role = f"{_RBAC}/v1", f"{namespace}:{name}"
        subjects = [{"kind": "ServiceAccount", "namespace": namespace, "name": name}]
        prefix = "Cluster" if namespaces is None else ""
        reference = {"apiGroup": _RBAC, "kind": f"{prefix}Role", "name": role}
        for home in namespaces if namespaces is not None else [""]:
            metadata = {"name": role} | ({"namespace": home} if home else {})
            self.create(
                {"apiVersion": api_version, "kind": f"{prefix}Role", "metadata": metadata, "rules": list(rules)}
            )
            binding = {"kind": f"{prefix}RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": subjects}
            self.create({"apiVersion": api_version} | binding)

    def _context(self, authority: Authority) -> ssl.SSLContext:
        write_file(self.ca_file, authority.pem, mode=CERTIFICATE_MODE)
        certificate, key = self.folder / "kubernetes.pem", self.folder / "kubernetes.key"
        authority.leaf(list(NAMES)).write(certificate, key)
        return server_context(certificate, key, alpn=(HTTP_ALPN,))
