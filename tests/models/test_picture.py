import numpy as np
import pytest
from models import rosenbrock, rosenbrock_model

from hessfast import TaylorModel


def test_plot_marks_the_step_and_the_uphill_region():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    model = rosenbrock_model(np.array([-1.2, 1.0]), error=1e6)
    ax = model.plot(rosenbrock)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Taylor model", "f"]
    truth = next(line for line in ax.lines if line.get_label() == "f")
    x, y = truth.get_data()
    i = int(np.argmin(np.abs(x)))
    assert y[i] == pytest.approx(rosenbrock(model.x0 - x[i] * model.g))
    assert any(f"{float(model.step()):.4g}" in text.get_text() for text in ax.texts)
    plt.close(ax.figure)


@pytest.mark.parametrize("model", [TaylorModel([1.0], 0.0, [1.0], [[-1.0]]), TaylorModel([0.0], 0.0, [0.0], [[0.0]])])
def test_plot_without_a_minimum(model):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert model.plot(ax=ax) is ax
    assert model.step().message == ax.get_title(loc="left")
    plt.close(ax.figure)
