"""Fitted models at the points where fits end: likelihoods, NIST's models, networks, and what optimisers leave."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from nist_strd import MODELS, load

from problems import jets
from problems.likelihoods import _log_gamma as log_gamma
from problems.states.atoms import Molecule, lennard_jones, morse
from problems.states.state import EPS, Chooser, Floats, Function, State, member

SOLVERS = ("BFGS", "Nelder-Mead", "L-BFGS-B", "Powell", "CG", "TNC", "SLSQP", "Newton")


def optimise(choose: Chooser, fun: Function, jac: Function, start: Floats) -> Floats:
    """Return the point at which one of SciPy's methods stops, or one that Newton's has polished."""
    from scipy.optimize import minimize

    method = choose.one_of(*SOLVERS)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with_slope = method not in ("Nelder-Mead", "Powell") and choose.chance(0.6)
        polish = method == "Newton"
        options = {"maxiter": 100 * start.size} if method in ("Nelder-Mead", "Powell") else {}
        found = minimize(
            fun, start, method="BFGS" if polish else method, jac=jac if with_slope or polish else None, options=options
        ).x
        if polish:
            for _ in range(4):
                grad, hess = jets.derivatives(fun, found)
                if np.all(np.isfinite(hess)) and np.linalg.cond(hess) < 1e14:
                    found = found - np.linalg.solve(hess, grad)
    return np.asarray(found, dtype=np.float64)


def at(
    x0: Floats, fun: Function, jac: Function | None, size: float, longest: Any = None, **fields: Any
) -> State | None:
    """Return the state at x0, where f bends as a sum of `size` terms does; None where it does not bend at all."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if not np.all(np.isfinite(x0)):
            return None
        grad, hess = jets.derivatives(fields.pop("exact", fun), x0)
        bend = np.abs(np.diag(hess))
        if not (np.all(np.isfinite(hess)) and np.all(np.isfinite(grad)) and np.isfinite(float(fun(x0)))):
            return None
        if "least" not in fields and not (
            np.all(bend > 0) and np.linalg.cond(hess / np.sqrt(np.outer(bend, bend))) < 1e12
        ):
            return None
        lengths = np.sqrt(size / bend)
        lengths = np.minimum(lengths, np.where(x0 == 0, 1.0, 10 * np.abs(x0)) if longest is None else longest)
        fields.setdefault("noise", EPS * max(abs(float(fun(x0))), size))
        if jac is None:
            jac = lambda x: jets.gradient(fun, np.asarray(x))  # noqa: E731
        return State(fun=fun, jac=jac, x0=x0, grad=grad, hess=hess, lengths=lengths, **fields)


def first(choose: Chooser, make: Callable[[Chooser], State | None]) -> State:
    """Return the first drawing that bends."""
    for _ in range(50):
        state = make(choose)
        if state is not None:
            return state
    raise AssertionError("no drawing of it bends")


def log_beta(a: Any, b: Any) -> Any:
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


NegativeLog = Callable[[Any, Floats], Any]

DISTRIBUTIONS: dict[str, tuple[NegativeLog, tuple[float, ...], Callable[[Any, int], Floats]]] = {
    "normal": (
        lambda p, y: y.size * np.log(p[1]) + (((y - p[0]) / p[1]) ** 2).sum() / 2,
        (3.0, 0.7),
        lambda rng, m: rng.normal(3, 0.7, m),
    ),
    "normal, log deviation": (
        lambda p, y: y.size * p[1] + (((y - p[0]) * np.exp(-p[1])) ** 2).sum() / 2,
        (0.1, 0.1),
        lambda rng, m: rng.normal(0, 1, m),
    ),
    "log-normal": (
        lambda p, y: y.size * np.log(p[1]) + (((np.log(y) - p[0]) / p[1]) ** 2).sum() / 2,
        (1.0, 0.5),
        lambda rng, m: rng.lognormal(1, 0.5, m),
    ),
    "logistic": (
        lambda p, y: y.size * np.log(p[1]) + ((y - p[0]) / p[1] + 2 * np.log(1 + np.exp(-(y - p[0]) / p[1]))).sum(),
        (100.0, 5.0),
        lambda rng, m: rng.logistic(100, 5, m),
    ),
    "Gumbel": (
        lambda p, y: y.size * np.log(p[1]) + ((y - p[0]) / p[1] + np.exp(-(y - p[0]) / p[1])).sum(),
        (20.0, 3.0),
        lambda rng, m: rng.gumbel(20, 3, m),
    ),
    "exponential": (
        lambda p, y: y.size * np.log(p[0]) + (y / p[0]).sum(),
        (2.0,),
        lambda rng, m: rng.exponential(2e3, m) / 1e3,
    ),
    "Weibull": (
        lambda p, y: ((y / p[1]) ** p[0] - (p[0] - 1) * np.log(y / p[1])).sum() + y.size * np.log(p[1] / p[0]),
        (1.5, 2.0),
        lambda rng, m: 2 * rng.weibull(1.5, m),
    ),
    "gamma": (
        lambda p, y: y.size * (log_gamma(p[0]) + p[0] * np.log(p[1])) + (y / p[1] - (p[0] - 1) * np.log(y)).sum(),
        (2.5, 1.5),
        lambda rng, m: rng.gamma(2.5, 1.5, m),
    ),
    "beta": (
        lambda p, y: y.size * log_beta(p[0], p[1]) - ((p[0] - 1) * np.log(y) + (p[1] - 1) * np.log1p(-y)).sum(),
        (2.0, 5.0),
        lambda rng, m: rng.beta(2, 5, m),
    ),
    "Student": (
        lambda p, y: (
            y.size * (log_gamma(p[0] / 2) - log_gamma((p[0] + 1) / 2) + np.log(p[0]) / 2 + np.log(p[2]))
            + ((p[0] + 1) / 2 * np.log1p(((y - p[1]) / p[2]) ** 2 / p[0])).sum()
        ),
        (4.0, 1.0, 2.0),
        lambda rng, m: 1 + 2 * rng.standard_t(4, m),
    ),
    "Cauchy": (
        lambda p, y: y.size * np.log(p[1]) + np.log1p(((y - p[0]) / p[1]) ** 2).sum(),
        (-2.0, 0.5),
        lambda rng, m: -2 + 0.5 * rng.standard_cauchy(m),
    ),
    "inverse Gaussian": (
        lambda p, y: -y.size * np.log(p[1]) / 2 + (p[1] * (y - p[0]) ** 2 / (2 * p[0] ** 2 * y)).sum(),
        (1.0, 3.0),
        lambda rng, m: rng.wald(1, 3, m),
    ),
    "Pareto": (
        lambda p, y: -y.size * np.log(p[0]) + (p[0] + 1) * np.log(y).sum(),
        (2.5,),
        lambda rng, m: 1 + rng.pareto(2.5, m),
    ),
    "Rayleigh": (
        lambda p, y: 2 * y.size * np.log(p[0]) + (y**2).sum() / (2 * p[0] ** 2),
        (3.0,),
        lambda rng, m: rng.rayleigh(3, m),
    ),
    "log-logistic": (
        lambda p, y: (
            (2 * np.log1p((y / p[1]) ** p[0]) - (p[0] - 1) * np.log(y / p[1])).sum() + y.size * np.log(p[1] / p[0])
        ),
        (3.0, 10.0),
        lambda rng, m: 10 * np.exp(rng.logistic(0, 1, m) / 3),
    ),
    "Burr": (
        lambda p, y: -(np.log(p[0] * p[1]) + (p[0] - 1) * np.log(y) - (p[1] + 1) * np.log1p(y ** p[0])).sum(),
        (2.0, 1.5),
        lambda rng, m: (rng.random(m) ** (-1 / 1.5) - 1) ** (1 / 2),
    ),
    "extreme value": (
        lambda p, y: (
            y.size * np.log(p[1])
            + (
                (1 + 1 / p[2]) * np.log1p(p[2] * (y - p[0]) / p[1]) + (1 + p[2] * (y - p[0]) / p[1]) ** (-1 / p[2])
            ).sum()
        ),
        (10.0, 2.0, 0.2),
        lambda rng, m: 10 + 10 * ((-np.log(rng.random(m))) ** -0.2 - 1),
    ),
    "Poisson": (
        lambda p, y: y.size * p[0] - y.sum() * np.log(p[0]),
        (4.0,),
        lambda rng, m: rng.poisson(4, m).astype(np.float64),
    ),
    "geometric": (
        lambda p, y: -y.size * np.log(p[0]) - (y - 1).sum() * np.log1p(-p[0]),
        (0.3,),
        lambda rng, m: rng.geometric(0.3, m).astype(np.float64),
    ),
    "negative binomial": (
        lambda p, y: (
            (log_gamma(p[0]) - log_gamma(p[0] + y)).sum()
            - (p[0] * np.log(p[0] / (p[0] + p[1])) + y * np.log(p[1] / (p[0] + p[1]))).sum()
        ),
        (3.0, 5.0),
        lambda rng, m: rng.negative_binomial(3, 3 / 8, m).astype(np.float64),
    ),
    "beta-binomial": (
        lambda p, y: (log_beta(p[0], p[1]) - log_beta(p[0] + y, p[1] + 20 - y)).sum(),
        (2.0, 3.0),
        lambda rng, m: rng.binomial(20, rng.beta(2, 3, m)).astype(np.float64),
    ),
    "two normals": (
        lambda p, y: (
            -np.log(
                p[0] * np.exp(-(((y - p[1]) / p[2]) ** 2) / 2) / p[2]
                + (1 - p[0]) * np.exp(-(((y - p[3]) / p[4]) ** 2) / 2) / p[4]
            ).sum()
        ),
        (0.4, 0.0, 1.0, 5.0, 1.5),
        lambda rng, m: np.where(rng.random(m) < 0.4, rng.normal(0, 1, m), rng.normal(5, 1.5, m)),
    ),
    "zero-inflated Poisson": (
        lambda p, y: (
            -(y == 0).sum() * np.log(p[0] + (1 - p[0]) * np.exp(-p[1]))
            - (y > 0).sum() * (np.log1p(-p[0]) - p[1])
            - y.sum() * np.log(p[1])
        ),
        (0.3, 4.0),
        lambda rng, m: rng.poisson(4, m) * (rng.random(m) > 0.3) * 1.0,
    ),
}
"""−log L without what depends on the data alone, where to start, and observations."""


SCIPY: dict[str, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    "normal": ("norm", lambda p: (p[0], p[1])),
    "log-normal": ("lognorm", lambda p: (p[1], 0, np.exp(p[0]))),
    "logistic": ("logistic", lambda p: (p[0], p[1])),
    "Gumbel": ("gumbel_r", lambda p: (p[0], p[1])),
    "Weibull": ("weibull_min", lambda p: (p[0], 0, p[1])),
    "gamma": ("gamma", lambda p: (p[0], 0, p[1])),
    "beta": ("beta", lambda p: (p[0], p[1], 0, 1)),
    "Student": ("t", lambda p: (p[0], p[1], p[2])),
    "Cauchy": ("cauchy", lambda p: (p[0], p[1])),
    "inverse Gaussian": ("invgauss", lambda p: (p[0] / p[1], 0, p[1])),
    "Pareto": ("pareto", lambda p: (p[0], 0, 1)),
    "Rayleigh": ("rayleigh", lambda p: (0, p[0])),
    "log-logistic": ("fisk", lambda p: (p[0], 0, p[1])),
    "Burr": ("burr12", lambda p: (p[0], p[1], 0, 1)),
    "extreme value": ("genextreme", lambda p: (-p[2], p[0], p[1])),
}
"""The same in scipy.stats: its name there and its arguments (shapes, loc, scale)."""


def scipy_likelihood(name: str, y: Floats) -> Function:
    """Return −log L as SciPy computes it: a penalty where an observation is impossible, inf where a parameter is."""
    from scipy import stats

    known, arguments = SCIPY[name]
    family = getattr(stats, known)
    return lambda p: float(family.nnlf(arguments(p), y))


@member("real", 3)
def distribution(choose: Chooser) -> State:
    """−log L of a distribution where its fit ends, in units as they come."""
    name = choose.one_of(*DISTRIBUTIONS)
    negative_log, start, sample = DISTRIBUTIONS[name]

    def make(choose: Chooser) -> State | None:
        y = sample(choose.rng, int(choose.between(30, 300)))
        fun = lambda p: negative_log(p, y)  # noqa: E731
        jac = lambda p: jets.gradient(fun, np.asarray(p))  # noqa: E731
        x0 = optimise(choose, fun, jac, np.array(start) * (1 + 0.1 * choose.rng.standard_normal(len(start))))
        if not (np.all(np.sign(x0) == np.sign(start)) or name.startswith("normal")):
            return None  # a fit that took another way round: σ below 0 and the like
        if name in SCIPY and choose.chance(0.4):
            theirs = at(x0, scipy_likelihood(name, y), jac, y.size, exact=fun, kind=f"SciPy's {SCIPY[name][0]}")
            # Our gamma function and theirs part at 1e-14.
            return None if theirs is None else replace(theirs, slack=1e-12 * theirs.scales)
        return at(x0, fun, jac, y.size, kind=name)

    return first(choose, make)


LINKS: dict[str, Callable[[Any, Floats], Any]] = {
    "logit": lambda eta, y: np.log(1 + np.exp((1 - 2 * y) * eta)),
    "probit": lambda eta, y: -np.log(_normal((2 * y - 1) * eta)),
    "Poisson": lambda eta, y: np.exp(eta) - y * eta,
    "gamma": lambda eta, y: eta + y * np.exp(-eta),
    "log-log": lambda eta, y: np.exp(eta) * (1 - y) - y * np.log(1 - np.exp(-np.exp(eta))),
}


def _normal(u: Any) -> Any:
    from scipy.special import ndtr

    return ndtr(u)


@member("real", 2)
def regression(choose: Chooser) -> State:
    """Generalised linear models with columns of sizes as they come, a ridge or none."""
    link = choose.one_of(*LINKS)

    def make(choose: Chooser) -> State | None:
        n, m = int(choose.rng.integers(2, 6)), int(choose.between(40, 400))
        units = np.append(1.0, choose.between(1e-2, 1e3, n - 1))
        A = np.column_stack([np.ones(m), choose.rng.standard_normal((m, n - 1)) + choose.rng.uniform(-1, 1)])
        eta = A @ (choose.rng.uniform(0.05, 0.5, n) * choose.signs(n))
        y = choose.rng.poisson(np.exp(eta)) if link == "Poisson" else choose.rng.random(m) < 1 / (1 + np.exp(-eta))
        y = choose.rng.gamma(2, np.exp(eta) / 2) if link == "gamma" else np.asarray(y, dtype=np.float64)
        A, ridge = A * units, choose.one_of(0.0, 0.0, 1.0)

        def fun(b: Any) -> Any:
            return LINKS[link](A @ b, y).sum() + ridge / 2 * (b * b * units**2).sum()

        jac = lambda b: jets.gradient(fun, np.asarray(b))  # noqa: E731
        scaled = optimise(choose, lambda b: fun(b / units), lambda b: jac(b / units) / units, np.full(n, 0.01))
        return at(scaled / units, fun, jac, m, 10 / units, kind=link)

    return first(choose, make)


@member("real", 2)
def reference_set(choose: Chooser) -> State:
    """NIST's models: residual sums, and likelihoods with the deviation left out, where a fit ends."""
    from scipy.optimize import least_squares

    def make(choose: Chooser) -> State | None:
        data = load(choose.one_of(*MODELS))
        log = choose.chance(0.3) and data.rss > 1e-12
        if choose.chance(0.5):
            x0 = data.certified * (1 + choose.one_of(0.0, 1e-9, 1e-6) * choose.rng.standard_normal(data.certified.size))
        else:
            start = data.certified * (1 + 0.02 * choose.rng.standard_normal(data.certified.size))
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                x0 = least_squares(lambda b: data.model(b, data.x) - data.y, start, x_scale=np.abs(start)).x

        def fun(b: Any) -> Any:
            squares = data.residual_sum(b)
            return data.y.size / 2 * np.log(squares) if log else squares

        size = data.y.size if log else float((data.y**2).sum())
        rounding = EPS * (data.y.size if log else 1.0) * (1 + data.residual_sum(x0) / 2)
        if log:  # of the residuals, in units of themselves
            rounding = EPS * data.y.size * np.sqrt(float((data.y**2).sum()) / max(data.residual_sum(x0), 1e-300))
        else:
            rounding = EPS * (data.residual_sum(x0) + np.sqrt(data.residual_sum(x0) * float((data.y**2).sum())))
        return at(x0, fun, None, size, np.abs(x0), noise=float(rounding), kind=f"{data.name}{' log' if log else ''}")

    return first(choose, make)


class Perceptron:
    """Mean square of a network of tanh (d → k → 1) against data, and a penalty."""

    def __init__(self, t: Floats, y: Floats, hidden: int, penalty: float) -> None:
        self.t, self.y, self.hidden, self.penalty = t, y, hidden, penalty

    def parts(self, x: Any) -> tuple[Any, Any, Any, Any]:
        k, d = self.hidden, self.t.shape[1]
        return x[: k * d].reshape(k, d), x[k * d : k * d + k], x[k * d + k : k * d + 2 * k], x[-1]

    def __call__(self, x: Any) -> Any:
        W, b, c, offset = self.parts(x)
        total = offset - self.y
        for unit in range(self.hidden):
            total = total + c[unit] * np.tanh((self.t * W[unit]).sum(axis=1) + b[unit])
        return (total * total).sum() / self.y.size + self.penalty * (x * x).sum()

    def jac(self, x: Any) -> Any:
        W, b, c, offset = self.parts(x)
        z = np.tanh(self.t @ W.T + b)
        r = 2 * (z @ c + offset - self.y) / self.y.size
        inner = r[:, None] * (1 - z * z) * c
        g = np.concatenate([(inner.T @ self.t).ravel(), inner.sum(axis=0), z.T @ r, [r.sum()]])
        return g + 2 * self.penalty * x


@member("real", 1)
def trained_network(choose: Chooser) -> State:
    """A network of tanh after training, to the end or not."""
    from scipy.optimize import minimize

    def make(choose: Chooser) -> State | None:
        d, k, m = choose.one_of((1, 2, 30), (2, 2, 40), (2, 3, 60), (1, 3, 40))
        t = choose.rng.uniform(-1, 1, (m, d))
        y = np.sin(3 * t[:, 0]) + 0.1 * choose.rng.standard_normal(m)
        f = Perceptron(t, y, k, choose.one_of(1e-4, 1e-3, 1e-2))
        start = choose.rng.standard_normal(k * (d + 2) + 1)
        x0 = minimize(f, start, jac=f.jac, method="L-BFGS-B", options={"maxiter": choose.one_of(20, 100, 300)}).x
        return at(x0, f, f.jac, 1.0, np.maximum(np.abs(x0), 1.0), kind=f"{x0.size} weights")

    return first(choose, make)


def _powell(x: Any) -> Any:
    return (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4


def _helix(x: Any) -> Any:
    angle = np.arctan(x[1] / x[0]) / (2 * np.pi)
    return 100 * ((x[2] - 10 * angle) ** 2 + (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2) + x[2] ** 2


def _beale(x: Any) -> Any:
    return (
        (1.5 - x[0] + x[0] * x[1]) ** 2 + (2.25 - x[0] + x[0] * x[1] ** 2) ** 2 + (2.625 - x[0] + x[0] * x[1] ** 3) ** 2
    )


def _branin(x: Any) -> Any:
    bent = x[1] - 5.1 / (4 * np.pi**2) * x[0] ** 2 + 5 / np.pi * x[0] - 6
    return bent**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10


def _griewank(x: Any) -> Any:
    product = 1.0
    for i in range(x.size):
        product = product * np.cos(x[i] / np.sqrt(i + 1))
    return (x**2).sum() / 4000 - product + 1


def _camel(x: Any) -> Any:
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (4 * x[1] ** 2 - 4) * x[1] ** 2


def _wood(x: Any) -> Any:
    first = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 90 * (x[3] - x[2] ** 2) ** 2 + (1 - x[2]) ** 2
    return first + 10.1 * ((x[1] - 1) ** 2 + (x[3] - 1) ** 2) + 19.8 * (x[1] - 1) * (x[3] - 1)


CLASSICS: dict[str, tuple[Function, int]] = {
    "Rosenbrock": (lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum(), 4),
    "Powell": (_powell, 4),
    "helix": (_helix, 3),
    "Beale": (_beale, 2),
    "Branin": (_branin, 2),
    "Griewank": (_griewank, 3),
    "camel": (_camel, 2),
    "Wood": (_wood, 4),
    "Rastrigin": (lambda x: 10 * x.size + (x**2 - 10 * np.cos(2 * np.pi * x)).sum(), 3),
    "Styblinski": (lambda x: (x**4 - 16 * x**2 + 5 * x).sum() / 2, 3),
    "Himmelblau": (lambda x: (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2, 2),
    "McCormick": (lambda x: np.sin(x[0] + x[1]) + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1, 2),
    "sum of squares": (lambda x: (np.arange(1, 5) * x**2).sum(), 4),
    "Zakharov": (
        lambda x: (x**2).sum() + (0.5 * np.arange(1, 4) * x).sum() ** 2 + (0.5 * np.arange(1, 4) * x).sum() ** 4,
        3,
    ),
}


@member("real", 2)
def classic(choose: Chooser) -> State:
    """Test functions of optimisation where SciPy's methods leave them."""
    name = choose.one_of(*CLASSICS)
    fun, n = CLASSICS[name]

    def make(choose: Chooser) -> State | None:
        jac = lambda x: jets.gradient(fun, np.asarray(x))  # noqa: E731
        x0 = optimise(choose, fun, jac, choose.rng.uniform(-2, 2, n))
        rounding = EPS * {"Rastrigin": 10.0 * n, "Griewank": 1.0}.get(name, abs(float(fun(x0))))
        return at(x0, fun, jac, np.inf, 0.1, noise=rounding, kind=name)

    return first(choose, make)


@member("real", 1)
def cluster(choose: Chooser) -> State:
    """Small clusters of atoms relaxed by an optimiser, in ångström or metres."""
    from scipy.optimize import minimize

    def make(choose: Chooser) -> State | None:
        atoms = choose.one_of(3, 4)
        potential = lennard_jones(1.0, 1.0) if choose.chance(0.5) else morse(1.0, 1.0, 4.0)
        i, j = np.triu_indices(atoms, 1)
        pairs = [(list(zip(i.tolist(), j.tolist(), strict=True)), potential)]
        f = Molecule(pairs, 1.0, 1.0)
        corners = np.array([[0, 0, 0], [1, 0, 0], [0.5, 0.87, 0], [0.5, 0.29, 0.82]])[:atoms]
        start = (corners + 0.05 * choose.rng.standard_normal((atoms, 3))).ravel()
        x0 = minimize(f, start, jac=f.jac, method=choose.one_of("BFGS", "CG", "L-BFGS-B")).x
        if choose.chance(0.3):
            x0 = (x0.reshape(-1, 3) - x0[:3]).ravel()
        unit, energy = choose.one_of((1.0, 1.0), (1e-10, 1e-20))
        scaled = Molecule(pairs, unit, energy)
        return at(x0 * unit, scaled, scaled.jac, np.inf, 0.2 * unit, noise=EPS * energy, least=1e-2, kind=f"{unit:.0e}")

    return first(choose, make)
