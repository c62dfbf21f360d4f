"""kubectl works against the fake; what needs no pods it does against a real API server too."""

import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.asking import Server
from tests.kubernetes.test_claims_definitions import SCHEMA
from tests.support.api_server import folder_of_programs
from tests.support.fake_kubernetes import FakeKubernetes
from tests.support.processes import Running, clean_environment

SECONDS = 60.0


def kubectl_program() -> str | None:
    """The one on PATH, or the one that was built beside the API server."""
    built = folder_of_programs()
    return shutil.which("kubectl") or (None if built is None else str(built / "kubectl"))


class Shell:
    """Runs kubectl with a kubeconfig of its own."""

    def __init__(self, server: Server, folder: Path) -> None:
        program = kubectl_program()
        if program is None:
            pytest.skip("kubectl is not installed")
        self._program = program
        url = f"https://127.0.0.1:{server.port}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": str(server.ca_file)}}],
            "users": [{"name": "u", "user": {"token": server.admin_token}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        self.environment = {"KUBECONFIG": str(path), "HOME": str(folder)}  # it caches what it discovers

    def run(self, *arguments: str, given: Any = None) -> str:
        """Its output. Raises AssertionError where it fails."""
        done = self.attempt(*arguments, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempt(self, *arguments: str, given: Any = None) -> "subprocess.CompletedProcess[str]":
        """Its end, whatever it is; `given` is a manifest for its standard input."""
        return subprocess.run(
            [self._program, *arguments],
            input=None if given is None else json.dumps(given),
            env=clean_environment(self.environment),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *arguments: str) -> Running:
        """One that goes on."""
        return Running([self._program, *arguments], name="kubectl", environment=self.environment)


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    return Shell(server, tmp_path)


@pytest.fixture
def fake_shell(fake: FakeKubernetes, tmp_path: Path) -> Shell:
    return Shell(fake, tmp_path)


@pytest.fixture
def name() -> str:
    """Of an object in the namespace `default`, which all tests share in the real server."""
    return f"web-{secrets.token_hex(4)}"


def manifest(name: str, image: str, **environment: str) -> dict[str, Any]:
    variables = [{"name": key, "value": value} for key, value in environment.items()]
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": image, "env": variables}]},
    }
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_apply_creates_then_changes_and_takes_away(shell: Shell, name: str) -> None:
    assert f"deployment.apps/{name} created" in shell.run("apply", "-f", "-", given=manifest(name, "acme/web:1", A="1"))
    assert "unchanged" in shell.run("apply", "-f", "-", given=manifest(name, "acme/web:1", A="1"))
    assert "configured" in shell.run("apply", "-f", "-", given=manifest(name, "acme/web:2", B="2"))
    found = json.loads(shell.run("get", "deployment", name, "-o", "json"))
    [container] = found["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "acme/web:2"
    assert container["env"] == [{"name": "B", "value": "2"}]


def test_patch_get_and_delete(shell: Shell, name: str) -> None:
    shell.run("apply", "-f", "-", given=manifest(name, "acme/web:1"))
    shell.run("patch", "deployment", name, "-p", '{"spec": {"replicas": 0}}')
    path = "jsonpath={.spec.replicas}"
    assert shell.run("get", "deployment", name, "-o", path) == "0"
    table = shell.run("get", "deployments", "--no-headers")
    assert [line.split()[1] for line in table.splitlines() if line.split()[0] == name] == ["0/0"]
    shell.run("delete", "deployment", name, "--timeout=30s")
    missing = shell.attempt("get", "deployment", name)
    assert missing.returncode == 1
    assert f'deployments.apps "{name}" not found' in missing.stderr


def test_server_side_apply_tells_conflicts(shell: Shell, name: str) -> None:
    shell.run("apply", "--server-side", "--field-manager=one", "-f", "-", given=manifest(name, "acme/web:1"))
    other = ("apply", "--server-side", "--field-manager=two", "-f", "-")
    refused = shell.attempt(*other, given=manifest(name, "acme/web:2"))
    assert refused.returncode == 1
    assert 'conflict with "one"' in refused.stderr
    shell.run(*other, "--force-conflicts", given=manifest(name, "acme/web:2"))


def test_wait_for_the_condition_of_a_custom_object(shell: Shell, name: str) -> None:
    group = f"g{secrets.token_hex(4)}.example.com"
    condition = {"type": "object", "properties": {key: {"type": "string"} for key in ("type", "status")}}
    status = {"type": "object", "properties": {"conditions": {"type": "array", "items": condition}}}
    schema = SCHEMA | {"properties": SCHEMA["properties"] | {"status": status}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [version],
        },
    }
    shell.run("apply", "-f", "-", given=crd)
    shell.run("wait", "--for=condition=Established", f"crd/widgets.{group}", "--timeout=30s")
    widget = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": 1}}
    shell.run("apply", "-f", "-", given=widget)
    with shell.start("wait", "--for=condition=Ready", f"widgets.{group}/{name}", "--timeout=60s") as waiting:
        ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
        shell.run("patch", f"widgets.{group}", name, "--type=merge", "-p", json.dumps(ready))
        assert waiting.wait() == 0, waiting.output
    assert "condition met" in waiting.output


def test_a_watch_prints_what_comes(fake: FakeKubernetes, fake_shell: Shell) -> None:
    with fake_shell.start("get", "pods", "-w") as watching:
        fake.wait_for_open_calls(1, verb="watch", path="/pods")
        fake.add_deployment("web")
        watching.wait_for_line("web-.*1/1 *Running")


def test_wait_for_a_deployment_and_its_rollout(fake: FakeKubernetes, fake_shell: Shell) -> None:
    fake.hold_readiness("app=web")
    fake_shell.run("apply", "-f", "-", given=manifest("web", "acme/web:1"))
    with fake_shell.start("wait", "--for=condition=Available", "deployment/web", "--timeout=60s") as waiting:
        fake.wait_for_open_calls(1, verb="watch", path="/deployments")
        fake.release_readiness("app=web")
        assert waiting.wait() == 0, waiting.output
    assert "successfully rolled out" in fake_shell.run("rollout", "status", "deployment/web")
    fake_shell.run("scale", "deployment/web", "--replicas=3")
    assert len(fake.pods_of("web")) == 3


def test_logs_are_printed_and_followed(fake: FakeKubernetes, fake_shell: Shell) -> None:
    fake.add_deployment("web")
    pod = fake.pods_of("web")[0]["metadata"]["name"]
    fake.log(pod, "one", "two")
    assert fake_shell.run("logs", pod, "--tail=1") == "two\n"
    assert fake_shell.run("logs", "deployment/web") == "one\ntwo\n"
    with fake_shell.start("logs", "-f", pod) as following:
        following.wait_for_line("^two$")
        fake.log(pod, "three")
        following.wait_for_line("^three$")
        fake.delete("Pod", pod)
        assert following.wait() == 0


def test_a_user_without_rights_is_told(fake: FakeKubernetes, tmp_path: Path, fake_shell: Shell) -> None:
    token = fake.service_account("tools", "nothing", rules=None)
    refused = fake_shell.attempt("--token", token, "get", "pods")
    assert refused.returncode == 1
    assert 'cannot list resource "pods"' in refused.stderr
