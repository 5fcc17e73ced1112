import re
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    # The examples set their own style; leave none of it behind.
    import matplotlib

    with matplotlib.rc_context():
        yield


def test_standard_errors(tmp_path, capsys):
    import standard_errors

    picture = tmp_path / "taylor.png"
    standard_errors.main(str(picture))
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if re.match(r"  b\d", line)]
    assert len(rows) == 9
    parameters, errors = (np.array([float(row[k]) for row in rows]) for k in (3, 6))
    assert parameters.min() >= 9.0
    assert errors.min() >= 10.0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_derivatives_that_the_example_judges_by():
    import standard_errors

    data = standard_errors.load("ENSO")
    b, h = data.starts[1], 1e-30
    gradient, H, _ = standard_errors.exact_derivatives(data, b)
    for i in range(b.size):
        along = b.astype(complex)
        along[i] += 1j * h
        residual = data.model(along, data.x) - data.y
        assert gradient[i] == pytest.approx((residual @ residual).imag / h, rel=1e-12)
    step = np.cbrt(np.finfo(float).eps) * np.maximum(np.abs(b), 1.0)
    for i in range(b.size):
        up, down = b.copy(), b.copy()
        up[i] += step[i]
        down[i] -= step[i]
        slope = standard_errors.exact_derivatives(data, up)[0] - standard_errors.exact_derivatives(data, down)[0]
        np.testing.assert_allclose(slope / (up[i] - down[i]), H[i], rtol=1e-6, atol=1e-6 * np.abs(H).max())


def test_learning_rate(tmp_path, capsys, monkeypatch):
    import learning_rate

    monkeypatch.setattr(learning_rate, "EPOCHS", 600)
    monkeypatch.setattr(learning_rate, "RATES", (0.1, 0.8))
    monkeypatch.setattr(learning_rate, "SHADES", learning_rate.SHADES[:2])
    picture = tmp_path / "learning_rate.png"
    learning_rate.main(str(picture))
    text = capsys.readouterr().out
    # At 0.8 training stands at the edge, at 0.1 it is far from it.
    ratios = [float(re.findall(r"\((-?[\d.]+)\)", line)[-1]) for line in text.splitlines() if line.startswith("  0.")][
        -2:
    ]
    assert ratios[0] < 0.1
    assert 1.8 < ratios[1] < 2.2
    assert "PyTorch" in text
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_gradient_of_the_network():
    import learning_rate

    network, w = learning_rate.Network(), learning_rate.start()
    v = np.random.default_rng(1).standard_normal(w.size)
    slope = (network.loss(w + 1e-6 * v) - network.loss(w - 1e-6 * v)) / 2e-6
    assert network.gradient(w) @ v == pytest.approx(slope, rel=1e-7)


def test_extreme_curvature(tmp_path, capsys):
    pytest.importorskip("sklearn")
    import extreme_curvature

    picture = tmp_path / "extreme_curvature.png"
    extreme_curvature.main(str(picture))
    text = capsys.readouterr().out
    largest, again, bar = (float(x) for x in re.search(r"L +(\S+) .* direction (\S+) ± (\S+)", text).groups())
    assert abs(largest - again) <= 1e-8
    assert bar <= 1e-9
    assert float(re.search(r"curvature m +(\S+)", text)[1]) == pytest.approx(extreme_curvature.RIDGE, rel=1e-3)
    gradients, products, whole = (
        int(x) for x in re.search(r"gradients +(\d+) for (\d+) .* takes (\d+)", text).groups()
    )
    assert gradients <= 2 * products + 16 < whole
    stable, unstable, best = re.findall(r"distance (\S+) -> (\S+) in", text)
    assert float(stable[1]) < 1e-2 * float(stable[0])
    assert float(best[1]) < 1e-2 * float(best[0])
    assert float(unstable[1]) > 1e2 * float(unstable[0])
    observed, predicted = (float(x) for x in re.search(r"shrinks by (\S+) a step.* = (\S+)", text).groups())
    assert observed == pytest.approx(predicted, abs=1e-3)
    assert picture.read_bytes().startswith(b"\x89PNG")
