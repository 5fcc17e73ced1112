"""statsmodels' models on its data, fitted by its methods: values, scores and Hessians are its own."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np

from problems.states.state import EPS, Chooser, Floats, State, member


@cache
def data(name: str) -> tuple[Floats, Floats]:
    """Return the response (m,) or (m, 2) and the predictors (m, k) of one of its data sets."""
    import statsmodels.api as sm

    loaded = getattr(sm.datasets, name).load_pandas()
    return np.asarray(loaded.endog, dtype=np.float64), np.asarray(loaded.exog, dtype=np.float64)


MODELS = (
    ("Logit", "spector"),
    ("Probit", "spector"),
    ("Poisson", "randhie"),
    ("Poisson", "cpunish"),
    ("NegativeBinomial", "randhie"),
    ("MNLogit", "anes96"),
    ("Binomial", "star98"),
    ("Gamma", "scotland"),
)


def _state(choose: Chooser, name: str, y: Floats, A: Floats) -> State | None:
    """Return the fitted model at its parameters, None where the fit fails or leaves no maximum."""
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    generalised = name in ("Binomial", "Gamma")
    if generalised:
        link = sm.families.links.Log() if name == "Gamma" else None
        model = sm.GLM(y, A, family=getattr(sm.families, name)(link=link))
    else:
        model = getattr(sm, name)(y, A)
    method = choose.one_of("newton", "bfgs", "nm", *(["IRLS"] if generalised else []))
    more: dict[str, Any] = {"scale": 1.0} if generalised else {}
    try:
        x0 = np.asarray(model.fit(disp=0, method=method, maxiter=500).params, dtype=np.float64).ravel(order="F")
        hess = -np.asarray(model.hessian(x0, **more), dtype=np.float64)
        grad = -np.asarray(model.score(x0, **more), dtype=np.float64)
        value = -float(model.loglike(x0, **more))
    except (np.linalg.LinAlgError, ValueError, PerfectSeparationError):
        return None
    bend = np.diag(hess)
    if not (np.all(np.isfinite(hess)) and np.isfinite(value) and np.all(bend > 0)):
        return None
    if np.linalg.cond(hess / np.sqrt(np.outer(bend, bend))) > 1e10:
        return None
    return State(
        slack=1e-12 * np.sqrt(np.outer(bend, bend)),  # of its Hessian, in float64
        fun=lambda p: -float(model.loglike(np.array(p), **more)),
        jac=lambda p: -np.asarray(model.score(np.array(p), **more), dtype=np.float64),
        x0=x0,
        grad=grad,
        hess=(hess + hess.T) / 2,
        lengths=np.sqrt(len(A) / bend),
        noise=EPS * max(abs(value), len(A)),
        kind=f"{name} {method}",
    )


@member("statsmodels")
def fitted_model(choose: Chooser) -> State:
    """A bootstrap drawing of the rows, columns in their own units or not, one of the optimisers."""
    while True:
        name, set_name = choose.one_of(*MODELS)
        y, A = data(set_name)
        rows = choose.rng.integers(len(A), size=int(choose.between(min(len(A), 60), min(len(A), 1000) + 1)))
        columns = choose.rng.permutation(A.shape[1])[: int(choose.rng.integers(1, min(4, A.shape[1]) + 1))]
        B = A[np.ix_(rows, columns)]
        B = B[:, np.ptp(B, axis=0) > 0]
        if choose.chance(0.5):
            B = (B - B.mean(axis=0)) / B.std(axis=0)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            state = _state(choose, name, y[rows], np.column_stack([np.ones(len(rows)), B]))
        if state is not None:
            return state
