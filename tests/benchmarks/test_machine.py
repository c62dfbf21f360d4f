from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.machine import commit, cpu_model
from benchmarks.visit import Visit


def test_cpu_model_is_read_from_cpuinfo() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: A CPU @ 2 GHz: fast\nflags\t: x\n") == "A CPU @ 2 GHz: fast"


def test_cpu_without_a_model_name_is_named_by_its_architecture() -> None:
    assert cpu_model("processor\t: 0\nCPU part\t: 0xd0c\n")


def test_commit_is_named() -> None:
    assert commit()


def test_visit_knows_host_and_port() -> None:
    visit = Visit(url="https://web--bench.preview.localhost:8443/small", ca_file=Path("ca.pem"))
    assert (visit.host, visit.port) == ("web--bench.preview.localhost", 8443)
    with pytest.raises(ValueError, match="no port"):
        _ = Visit(url="https://web--bench.preview.localhost/small").port


def test_unknown_scenario_is_one_clear_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 1
    assert capsys.readouterr().err == (
        "benchmarks: there is no scenario speed; there are requests, bulk, beside, handshakes, connect, streams, "
        "websockets, slow-link, idle, storm, growth, profile\n"
    )
