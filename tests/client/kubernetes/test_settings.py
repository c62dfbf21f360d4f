from ipaddress import ip_address
from pathlib import Path

import pytest

from certs import Authority
from client.kubernetes.settings import InCluster, KubernetesFlags, KubernetesReader, KubernetesSettings, parse_api
from client.kubernetes.table import Scope
from client.settings import Flags, load_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of a pod's ServiceAccount."""
    (tmp_path / "token").write_text("secret")
    (tmp_path / "ca.crt").write_bytes(Authority.create().pem)
    (tmp_path / "namespace").write_text("signadot\n")
    return tmp_path


POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "6443"}


def read(
    folder: Path, environment: dict[str, str], flags: KubernetesFlags | None = None
) -> tuple[KubernetesSettings | None, list[str]]:
    problems: list[str] = []
    settings = KubernetesReader(environment, problems, folder=folder).read(flags or KubernetesFlags())
    return settings, problems


def test_a_pod_has_what_its_service_account_gives(folder: Path) -> None:
    settings, problems = read(folder, POD)
    assert problems == []
    assert settings == KubernetesSettings(
        cluster=InCluster(
            host="10.96.0.1",
            port=6443,
            token_file=folder / "token",
            ca_file=folder / "ca.crt",
            namespace="signadot",
        ),
        scope=Scope(namespace="signadot"),
    )


def test_outside_of_a_cluster_there_is_no_kubernetes(folder: Path, tmp_path: Path) -> None:
    assert read(folder, {}) == (None, [])
    # A pod may be without a token (automountServiceAccountToken: false).
    assert read(tmp_path / "nothing", POD) == (None, [])


@pytest.mark.parametrize("by_flag", [True, False])
def test_kubernetes_can_be_turned_off(folder: Path, *, by_flag: bool) -> None:
    if by_flag:
        assert read(folder, POD, KubernetesFlags(mode="off")) == (None, [])
    else:
        assert read(folder, POD | {"SIGNADOT_KUBERNETES": "off"}) == (None, [])


def test_flags_and_variables_say_the_same_and_flags_win(folder: Path) -> None:
    flags = KubernetesFlags(
        api="https://api.example:7443",
        token_file=str(folder / "token"),
        ca_file=str(folder / "ca.crt"),
        namespace="other",
        pod_logs=True,
        previews=True,
        allow_namespaces=["shop", "web"],
    )
    environment = {
        "SIGNADOT_KUBERNETES_API": "https://api.example:7443",
        "SIGNADOT_KUBERNETES_TOKEN_FILE": str(folder / "token"),
        "SIGNADOT_KUBERNETES_CA_FILE": str(folder / "ca.crt"),
        "SIGNADOT_KUBERNETES_NAMESPACE": "other",
        "SIGNADOT_POD_LOGS": "true",
        "SIGNADOT_PREVIEWS": "TRUE",
        "SIGNADOT_ALLOW_NAMESPACES": "shop, web",
    }
    by_flags = read(folder / "elsewhere", {}, flags)
    assert by_flags == read(folder / "elsewhere", environment)
    settings, problems = by_flags
    assert problems == []
    assert settings is not None
    assert (settings.cluster.host, settings.cluster.port) == ("api.example", 7443)
    assert settings.scope == Scope(
        namespace="other", allow_namespaces=frozenset({"shop", "web"}), pod_logs=True, previews=True
    )
    off, _ = read(folder, POD | environment, KubernetesFlags(pod_logs=False, previews=False))
    assert off is not None
    assert (off.scope.pod_logs, off.scope.previews) == (False, False)


def test_every_problem_is_told_with_its_flag_and_variable(tmp_path: Path) -> None:
    (tmp_path / "no-ca").write_text("nothing")
    _, problems = read(
        tmp_path,
        {"SIGNADOT_POD_LOGS": "perhaps", "SIGNADOT_ALLOW_NAMESPACES": "A_b"},
        KubernetesFlags(mode="on", api="http://x", ca_file=str(tmp_path / "no-ca")),
    )
    for text in (
        "--kubernetes (SIGNADOT_KUBERNETES) is 'on'",
        "SIGNADOT_POD_LOGS is 'perhaps'",
        "'A_b' is not a name",
        "must begin with https://",
        "there is no file",
        "holds no PEM certificates",
        "--kubernetes-namespace",
    ):
        assert any(text in problem for problem in problems), text
    assert len(problems) == 7


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "http://x", "https://", "https://x:0", "https://x:65536", "https://x/path", "https://u@x"),
        *("https://::1", "https://[::1", "https://x?y", "https://x:", "https://[x]", "HTTPS://x"),
    ],
)
def test_what_is_no_address_of_an_api_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"https://|port"):
        parse_api(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://api.example", ("api.example", 443)),
        ("https://API.example:6443/", ("api.example", 6443)),
        ("https://10.0.0.1:6443", ("10.0.0.1", 6443)),
        ("https://[fd00::1]:6443", ("fd00::1", 6443)),
        ("https://[fd00::1]", ("fd00::1", 443)),
    ],
)
def test_addresses_of_api_servers_are_read(text: str, address: tuple[str, int]) -> None:
    assert parse_api(text) == address


def test_the_api_server_is_refused_to_streams_of_bytes_under_each_of_its_names(folder: Path) -> None:
    def load(api: str) -> tuple[frozenset[object], frozenset[str]]:
        flags = KubernetesFlags(
            api=api, token_file=str(folder / "token"), ca_file=str(folder / "ca.crt"), namespace="signadot"
        )
        policy = load_settings(
            Flags(relay="r.example", token_file="t", kubernetes=flags), {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
        ).policy
        return frozenset(policy.api_server), policy.api_server_names

    addresses, _ = load("https://192.168.1.10:6443")
    assert addresses == {ip_address("10.96.0.1"), ip_address("192.168.1.10")}
    addresses, names = load("https://api.c1.example:6443")
    assert addresses == {ip_address("10.96.0.1")}
    assert {"api.c1.example", "kubernetes.default.svc"} <= names
