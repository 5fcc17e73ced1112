import numpy as np

import hessfast
from hessfast import TaylorModel, check_hessian, curvature, gradient, hessian, optimal_step


def cubes(x):
    return float(np.sum(x**3))


def test_result_lists_its_fields():
    text = repr(hessian(cubes, [1.0, 2.0], full_output=True))
    lines = text.splitlines()
    assert lines[0].endswith("message: every entry was determined")
    assert any(line.lstrip() == "status: complete" for line in lines)
    assert any(line.lstrip().startswith("evaluations: origin 2, noise ") for line in lines)
    # The second row of a matrix stands below the first.
    first = next(i for i, line in enumerate(lines) if line.lstrip().startswith("hess: [["))
    assert lines[first].index("[[") + 1 == lines[first + 1].index("[")


def test_long_arrays_are_abridged():
    text = repr(hessian(cubes, np.linspace(1.0, 2.0, 40), abs_step=0.01, full_output=True))
    assert len(text.splitlines()) < 40
    assert "..." in text
    assert max(map(len, text.splitlines())) <= 80


def test_fields_without_a_value_are_left_out():
    assert "hess_error" not in repr(hessian(cubes, [1.0, 2.0], abs_step=0.01, full_output=True))


def test_batch_lists_words_for_statuses():
    text = repr(optimal_step([[1.0, 0.0], [0.0, 1.0]], np.diag([1.0, -1.0])))
    assert "message: 1 descent, 1 negative curvature" in text
    assert "status: [descent negative curvature]" in text


def test_every_result_prints():
    for result in (
        curvature(cubes, [1.0, 2.0], [1.0, 0.0]),
        gradient(cubes, [1.0, 2.0], full_output=True),
        check_hessian(cubes, [1.0, 2.0], [[6.0, 0.0], [0.0, 12.0]]),
        TaylorModel.fit(cubes, [1.0, 2.0]).step(),
    ):
        assert "message: " in repr(result)


def test_names_on_offer_are_the_public_ones():
    assert set(dir(hessfast)) == {*hessfast.__all__, "__version__"}
