"""Bodies of every framing and of large sizes, sent and fetched by curl, in bounded memory."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.support.memory import MIB, MemoryWatch
from tests.support.processes import clean_environment, run
from tests.system.conftest import Demo, Record

pytestmark = pytest.mark.system

MAX_RESIDENT_MIB = 150
BLOCK = bytes(range(256)) * 4096  # 1 MiB of the pattern that the sample app sends
SIZES = [
    pytest.param(32 * MIB, id="32MiB"),
    pytest.param(1024 * MIB, id="1GiB", marks=pytest.mark.soak),
]


def curl_arguments(demo: Demo, path: str, *arguments: str | Path) -> list[str | Path]:
    key = f"signadot-api-key: {demo.api_key}"
    common = ("--silent", "--show-error", "--fail", "--max-time", "300", "--cacert", demo.ca_file, "--header", key)
    return ["curl", *common, *arguments, demo.facts["preview_url"].rstrip("/") + path]


def curl(demo: Demo, path: str, *arguments: str | Path) -> str:
    done = run(*curl_arguments(demo, path, *arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def pattern_digest(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // MIB):
        digest.update(BLOCK)
    return digest.hexdigest()


def download_digest(demo: Demo, size: int) -> str:
    digest = hashlib.sha256()
    command = curl_arguments(demo, f"/bytes?n={size}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment()) as process:
        assert process.stdout is not None
        while part := process.stdout.read(MIB):
            digest.update(part)
    assert process.returncode == 0
    return digest.hexdigest()


def pattern_file(folder: Path, size: int) -> Path:
    path = folder / "body"
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(BLOCK)
    return path


def assert_bounded(watch: MemoryWatch) -> None:
    assert watch.samples > 1
    assert all(0 < peak < MAX_RESIDENT_MIB for peak in watch.peaks_mib.values()), watch.peaks_mib


def test_get_and_head_agree(demo: Demo, tmp_path: Path) -> None:
    output = tmp_path / "output"
    curl(demo, "/bytes?n=1000", "--output", output)
    assert output.read_bytes() == BLOCK[:1000]
    head = curl(demo, "/bytes?n=1000", "--head").lower()
    assert head.startswith("http/1.1 200 ")
    assert "content-length: 1000" in head
    assert "x-request-id: " in head


@pytest.mark.parametrize("size", SIZES)
def test_a_download_arrives_whole_in_bounded_memory(demo: Demo, size: int, record_property: Record) -> None:
    with MemoryWatch(demo.pids) as watch:
        assert download_digest(demo, size) == pattern_digest(size)
    record_property("peaks_mib", watch.peaks_mib)
    assert_bounded(watch)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("framing", ["content-length", "chunked"])
def test_an_upload_arrives_whole_in_bounded_memory(
    demo: Demo, size: int, framing: str, *, tmp_path: Path, record_property: Record
) -> None:
    body = pattern_file(tmp_path, size)
    chunked = ("--header", "transfer-encoding: chunked") if framing == "chunked" else ()
    with MemoryWatch(demo.pids) as watch:
        answer = curl(demo, "/sha256", "--request", "POST", "--upload-file", body, *chunked)
    record_property("peaks_mib", watch.peaks_mib)
    assert f'"{pattern_digest(size)}"' in answer
    assert f'"bytes": {size}' in answer
    assert_bounded(watch)


def test_an_echo_goes_both_ways_at_once(demo: Demo, tmp_path: Path) -> None:
    body, back = pattern_file(tmp_path, 16 * MIB), tmp_path / "back"
    curl(demo, "/echo", "--request", "POST", "--upload-file", body, "--output", back)
    assert hashlib.sha256(back.read_bytes()).hexdigest() == pattern_digest(16 * MIB)


def test_expect_continue_is_answered_by_the_target(demo: Demo) -> None:
    host = demo.facts["preview_url"].split("/")[2]
    with demo.connect(host.partition(":")[0]) as connection:
        connection.send(
            f"POST /sha256 HTTP/1.1\r\nHost: {host}\r\nsignadot-api-key: {demo.api_key}\r\n"
            "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n".encode()
        )
        assert connection.read_head()[0] == 100
        connection.send(b"body")
        answer = connection.read_answer("POST")
    assert answer.status == 200
    assert answer.json() == {"sha256": hashlib.sha256(b"body").hexdigest(), "bytes": 4}
