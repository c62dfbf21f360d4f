"""The relay's chart: the relay reads what it renders, and finds each file where it is mounted."""

import json
from pathlib import Path, PurePosixPath

import pytest

from relay import config
from tests.deploy.helm import CHARTS, RELAY, Document, Helm, Rendered
from tests.deploy.values import NEEDED, RELAY_VALUES

over_values = pytest.mark.parametrize("values", RELAY_VALUES.values(), ids=RELAY_VALUES)


def settings_of(rendered: Rendered, folder: Path) -> config.Settings:
    path = folder / "relay.toml"
    path.write_text(rendered.one("ConfigMap")["data"]["relay.toml"])
    return config.load(path, rendered.environment())


def mounted_files(rendered: Rendered) -> set[PurePosixPath]:
    """Every file that the pod finds, by the mounts and the items of their volumes."""
    folders = {mount["name"]: PurePosixPath(mount["mountPath"]) for mount in rendered.container()["volumeMounts"]}
    return {
        folders[volume["name"]] / item["path"]
        for volume in rendered.pod()["volumes"]
        for item in volume.get("secret", volume.get("configMap", {})).get("items", [])
    }


@over_values
def test_the_relay_reads_the_rendered_configuration(helm: Helm, tmp_path: Path, values: Document) -> None:
    rendered = helm.render(RELAY, values)
    settings = settings_of(rendered, tmp_path)
    ports = {port["name"]: port["containerPort"] for port in rendered.container()["ports"]}
    assert config.split_address(settings.listen.public)[1] == ports["public"]
    assert config.split_address(settings.listen.metrics)[1] == ports["metrics"]
    assert settings.hosts.tunnel == values.get("hosts", {}).get("tunnel", "tunnel.example.com")
    assert settings.hosts.preview == values.get("hosts", {}).get("preview", "preview.example.com")
    assert (settings.github is not None) == values.get("github", {}).get("enabled", False)
    for name, value in values.get("limits", {}).items():
        assert getattr(settings.limits, name) == value


@over_values
def test_every_file_of_the_configuration_is_mounted_and_no_other(helm: Helm, tmp_path: Path, values: Document) -> None:
    rendered = helm.render(RELAY, values)
    settings = settings_of(rendered, tmp_path)
    named = {PurePosixPath(path) for _, path in config._needed_files(settings)}
    if "sslrootcert=" in settings.store.url:
        named.add(PurePosixPath(settings.store.url.partition("sslrootcert=")[2]))
    assert named == mounted_files(rendered)


def test_texts_are_quoted_for_the_configuration(helm: Helm, tmp_path: Path) -> None:
    settings = settings_of(helm.render(RELAY, RELAY_VALUES["github-enterprise"]), tmp_path)
    assert settings.github is not None
    assert settings.github.client_id == 'quoted "\\ id'
    assert settings.github.app_id == 4294967296
    assert settings.github.api_url == "https://github.corp/api/v3"
    assert settings.store.url.endswith("/relay?sslrootcert=/run/secrets/signadot/database-ca/ca.pem")


def test_the_schema_has_every_limit_with_the_bounds_of_the_relay(helm: Helm, tmp_path: Path) -> None:
    values = {name: field.default for name, field in config.Limits.model_fields.items()}
    rendered = helm.render(RELAY, {**NEEDED, "limits": values})
    assert settings_of(rendered, tmp_path).limits == config.Limits()
    schema = json.loads((CHARTS / RELAY / "values.schema.json").read_text())["properties"]["limits"]
    assert schema["properties"].keys() == values.keys()
    for name, told in config.Limits.model_json_schema()["properties"].items():
        written = schema["properties"][name]
        smallest = told.get("minimum", told.get("exclusiveMinimum", 0))
        assert written["type"] == told["type"], name
        # A whole number above 0 is one of at least 1.
        assert written.get("minimum", written.get("exclusiveMinimum")) == (smallest or int(told["type"] == "integer"))
        assert written.get("maximum") == told.get("maximum"), name


@over_values
def test_the_public_service_has_no_metrics(helm: Helm, values: Document) -> None:
    rendered = helm.render(RELAY, values)
    public, inside = rendered.one("Service", RELAY), rendered.one("Service", f"{RELAY}-metrics")
    port, *tunnels = public["spec"]["ports"]
    assert len(tunnels) == (values["workers"] if values.get("workers", 1) > 1 else 0)
    assert port["targetPort"] == "public"
    # The relay writes the port it listens on into URLs.
    assert port["port"] == rendered.container()["ports"][0]["containerPort"]
    assert (inside["spec"]["type"], inside["spec"]["ports"][0]["targetPort"]) == ("ClusterIP", "metrics")
    for policy in rendered.all("NetworkPolicy"):
        front, metrics = policy["spec"]["ingress"]
        assert front == {"ports": [{"port": port["targetPort"], "protocol": "TCP"} for port in public["spec"]["ports"]]}
        assert metrics["from"]


def test_each_worker_has_a_port_for_agents(helm: Helm, tmp_path: Path) -> None:
    rendered = helm.render(RELAY, {**NEEDED, "workers": 3, "service": {"tunnelPort": 9000}})
    assert rendered.container()["command"][-2:] == ["--workers", "3"]
    assert settings_of(rendered, tmp_path).listen.tunnels == "0.0.0.0:9000"
    ports = {port["name"]: port["containerPort"] for port in rendered.container()["ports"]}
    assert {name: port for name, port in ports.items() if name.startswith("tunnels")} == {
        "tunnels-0": 9000,
        "tunnels-1": 9001,
        "tunnels-2": 9002,
    }
    service = rendered.one("Service", RELAY)
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"][1:]} == {
        name: port for name, port in ports.items() if name.startswith("tunnels")
    }


def test_a_low_port_needs_no_privilege(helm: Helm) -> None:
    low, high = (helm.render(RELAY, RELAY_VALUES[name]).pod()["securityContext"] for name in ("needed", "high-port"))
    assert low["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "443"}]
    assert "sysctls" not in high


@over_values
def test_the_pod_has_no_credential_of_the_cluster(helm: Helm, values: Document) -> None:
    rendered = helm.render(RELAY, values)
    assert rendered.pod()["automountServiceAccountToken"] is False
    assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"} & {
        document["kind"] for document in rendered.documents
    }


@over_values
def test_the_pod_outlives_its_drain(helm: Helm, tmp_path: Path, values: Document) -> None:
    rendered = helm.render(RELAY, values)
    stop = rendered.container().get("lifecycle", {}).get("preStop", {"exec": {"command": ["sleep", "0"]}})
    needed = settings_of(rendered, tmp_path).limits.drain_seconds + int(stop["exec"]["command"][1])
    assert rendered.pod()["terminationGracePeriodSeconds"] > needed


def test_a_changed_configuration_restarts_the_pod_and_nothing_else_does(helm: Helm) -> None:
    def checksum(values: Document) -> str:
        pod = helm.render(RELAY, values).one("Deployment")["spec"]["template"]
        found: str = pod["metadata"]["annotations"]["checksum/config"]
        return found

    assert checksum(NEEDED) == checksum({**NEEDED, "metrics": {"serviceMonitor": {"enabled": True}}})
    assert checksum(NEEDED) != checksum({**NEEDED, "limits": {"head_bytes": 65536}})


def test_there_is_one_pod_and_the_new_one_is_up_before_the_old_one_goes(helm: Helm) -> None:
    spec = helm.render(RELAY, NEEDED).one("Deployment")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_service_monitor_finds_the_metrics(helm: Helm) -> None:
    rendered = helm.render(RELAY, RELAY_VALUES["everything-else"])
    monitor = rendered.one("ServiceMonitor")
    chosen = [
        service
        for service in rendered.all("Service")
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    (service,) = chosen
    assert service["spec"]["ports"][0]["name"] == monitor["spec"]["endpoints"][0]["port"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
