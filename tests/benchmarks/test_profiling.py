import pytest

from benchmarks.profiling import area_of, parse_profile

FOLDED = """thread (7): MainThread;main (run.py:1);loop (run.py:5);send (relay/transport/tls.py:9) 30
thread (7): MainThread;main (run.py:1);loop (run.py:5);send (relay/transport/tls.py:9);encode (relay/mux/a.py:2) 10
thread (7): MainThread;main (run.py:1);loop (run.py:5) 60
thread (7): MainThread;main (run.py:1);EpollIOManager.get_events (trio/_core/_io_epoll.py:238) 300
thread (8): Trio thread 0;WorkerThread._work (trio/_core/_thread_cache.py:209) 400

"""


def test_own_and_total_shares_are_counted_by_function() -> None:
    hot = {entry.function: (entry.own, entry.total) for entry in parse_profile(FOLDED.splitlines()).functions}
    assert hot["loop (run.py:5)"] == pytest.approx((0.6, 1.0))
    assert hot["send (relay/transport/tls.py:9)"] == pytest.approx((0.3, 0.4))
    assert hot["encode (relay/mux/a.py:2)"] == pytest.approx((0.1, 0.1))


def test_other_threads_and_waiting_are_no_work() -> None:
    profile = parse_profile(FOLDED.splitlines())
    assert profile.samples == 400
    assert profile.waiting == pytest.approx(0.75)
    assert len(profile.functions) == 3


def test_hottest_by_own_time_comes_first() -> None:
    hot = parse_profile(FOLDED.splitlines()).functions
    assert [entry.function for entry in hot][:2] == ["loop (run.py:5)", "send (relay/transport/tls.py:9)"]


def test_own_time_is_summed_by_area() -> None:
    areas = dict(parse_profile(FOLDED.splitlines()).areas)
    assert areas == pytest.approx({"run.py": 0.6, "relay/transport": 0.3, "relay/mux": 0.1})


@pytest.mark.parametrize(
    ("frame", "area"),
    [
        ("read (relay/http1/request.py:9)", "relay/http1"),
        ("exchange (relay/telemetry.py:70)", "relay/telemetry.py"),
        ("SSLSocket.write (ssl.py:1150)", "ssl.py"),
        ("Runner.reschedule (trio/_core/_run.py:1897)", "trio/_core"),
        ("<lambda> (<string>:1)", "<string>"),
    ],
)
def test_area_is_the_folder_or_the_library(frame: str, area: str) -> None:
    assert area_of(frame) == area


def test_recursion_counts_once_in_the_total() -> None:
    (entry,) = parse_profile(["thread (7): MainThread;walk (tree.py:1);walk (tree.py:1) 5"]).functions
    assert (entry.own, entry.total) == (1.0, 1.0)


def test_no_samples_are_no_functions() -> None:
    assert parse_profile([]).functions == []
