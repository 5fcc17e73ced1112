import threading

import numpy as np
import pytest

from hessfast import show_config
from hessfast.algebra import _quadform
from hessfast.config import read_bandwidth


def test_every_fact_is_there():
    facts = show_config("dicts")
    assert facts["simd"] in facts["simd_levels"]
    assert facts["simd_levels"][-1] == "baseline"
    assert facts["cores"] >= 1
    assert "-ffp-contract=off" in facts["options"] or "MSVC" in facts["compiler"]
    assert facts["compiler"].split()[0] in {"GNU", "Clang", "AppleClang", "MSVC", "Intel", "IntelLLVM"}


def test_printed_in_words(capsys):
    assert show_config() is None
    printed = capsys.readouterr().out
    assert all(word in printed for word in ("version", "simd", "baseline", "cores"))
    assert "read bandwidth" not in printed


def test_bandwidth_on_request(capsys, monkeypatch):
    monkeypatch.setattr("hessfast.config.read_bandwidth", lambda threads: 1e9 * threads)
    show_config(bandwidth=True)
    assert "1.0 GB/s by 1 threads" in capsys.readouterr().out


@pytest.mark.parametrize("threads", [1, 2])
def test_read_bandwidth_is_a_rate(threads):
    assert 1e6 < read_bandwidth(threads, size=1 << 20, passes=2) < 1e13


def test_interrupted_measurement_leaves_no_thread(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("hessfast.config.time.perf_counter", interrupt)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        read_bandwidth(2, size=1 << 16)
    monkeypatch.undo()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 1000])
def test_read_touches_every_entry(n):
    assert _quadform.read(np.arange(float(n))) == n * (n - 1) / 2


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode must be"):
        show_config("yaml")
