"""How far a public function is from the user's function, in Python frames; `python bench/frames.py` prints all."""

import pytest
from stack import CALLS, Watch, watch_call

LIMITS = {
    "hessian, values": 6,
    "hessian, gradients": 6,
    "hessian, complex steps": 6,
    "gradient": 7,
    "hessian_diag": 7,
    "curvature, values": 6,
    "curvature, gradients": 6,
    "hvp, values": 6,
    "hvp, gradients": 6,
    "HessianOperator.matvec, values": 6,
    "HessianOperator.matvec, gradients": 6,
    "quadratic_form": 1,
}
"""Frames that may stand between, by the names of `stack.CALLS`."""


@pytest.mark.parametrize("name", LIMITS)
def test_few_frames_stand_between_a_call_and_f(name):
    watch = watch_call(name)
    assert watch.calls > 0
    assert len(watch.deepest) <= LIMITS[name], " > ".join(watch.deepest)


@pytest.mark.parametrize("name", CALLS)
def test_every_call_reaches_what_is_watched(name):
    assert watch_call(name).calls > 0


def test_frames_are_counted_strictly_between():
    def public(f):
        return via(f)

    def via(f):
        return f(1.0)

    def beside(f):
        return public(f) + f(2.0)

    watch = Watch(public)
    assert beside(watch(lambda x: x)) == 3.0
    assert watch.calls == 1
    assert watch.deepest == ("test_frames.via",)
