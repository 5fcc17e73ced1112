"""Sums of squares of Moré, Garbow and Hillstrom (1981, ACM TOMS 7(1), 17-41) at their standard points."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Draw, Problem, family, problem


def _squares(*residuals: Any) -> Any:
    return sum(np.sum(r**2) for r in residuals)


@family("squares", 2, 10, 40, 60)
def rosenbrock(draw: Draw, n: int) -> Problem:
    def fun(x: Any) -> Any:
        return _squares(10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1])

    def vectorized(X: np.ndarray) -> np.ndarray:
        return np.sum(100 * (X[1:] - X[:-1] ** 2) ** 2 + (1 - X[:-1]) ** 2, axis=0)

    return problem(fun, draw.near(np.tile([-1.2, 1.0], n // 2)), 1.0, vectorized=vectorized)


@family("squares")
def freudenstein_roth(draw: Draw) -> Problem:
    def fun(x: Any) -> Any:
        return _squares(-13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1], -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1])

    return problem(fun, draw.near([0.5, -2.0]), 1.0)


@family("squares")
def powell_badly_scaled(draw: Draw) -> Problem:
    def fun(x: Any) -> Any:
        return _squares(1e4 * x[0] * x[1] - 1, np.exp(-x[0]) + np.exp(-x[1]) - 1.0001)

    return problem(fun, draw.near([0.0, 1.0], [1e-4, 1.0]), [1e-4, 1.0])


@family("squares")
def brown_badly_scaled(draw: Draw) -> Problem:
    """f is 1e12 and its curvature 2."""
    return problem(lambda x: _squares(x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2), draw.near([1.0, 1.0]), 1.0)


@family("squares")
def beale(draw: Draw) -> Problem:
    y, power = np.array([1.5, 2.25, 2.625]), range(1, 4)

    def fun(x: Any) -> Any:
        return _squares(*(y[i - 1] - x[0] * (1 - x[1] ** i) for i in power))

    return problem(fun, draw.near([1.0, 1.0]), 1.0)


@family("squares")
def jennrich_sampson(draw: Draw) -> Problem:
    i = np.arange(1.0, 11.0)
    return problem(
        lambda x: _squares(2 + 2 * i - (np.exp(i * x[0]) + np.exp(i * x[1]))), draw.near([0.3, 0.4], 0.3), 0.1
    )


@family("squares")
def helical_valley(draw: Draw) -> Problem:
    def fun(x: Any) -> Any:  # the branch x1 < 0 of the angle
        theta = np.arctan(x[1] / x[0]) / (2 * np.pi) + 0.5
        return _squares(10 * (x[2] - 10 * theta), 10 * (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2])

    return problem(fun, draw.near([-1.0, 0.0, 0.0]), 1.0)


@family("squares")
def bard(draw: Draw) -> Problem:
    y = np.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])
    u = np.arange(1.0, 16.0)
    v, w = 16 - u, np.minimum(u, 16 - u)
    return problem(lambda x: _squares(y - (x[0] + u / (v * x[1] + w * x[2]))), draw.near(np.ones(3)), 1.0)


@family("squares")
def gaussian(draw: Draw) -> Problem:
    half = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
    y, t = np.array([*half, 0.3989, *half[::-1]]), (8 - np.arange(1.0, 16.0)) / 2
    return problem(lambda x: _squares(x[0] * np.exp(-x[1] * (t - x[2]) ** 2 / 2) - y), draw.near([0.4, 1.0, 0.0]), 1.0)


@family("squares")
def gulf(draw: Draw) -> Problem:
    t = np.arange(1.0, 100.0) / 100
    y = 25 + (-50 * np.log(t)) ** (2 / 3)
    return problem(
        lambda x: _squares(np.exp(-((y - x[1]) ** x[2]) / x[0]) - t),
        draw.near([5.0, 2.5, 0.15], [5.0, 2.5, 0.15]),
    )


@family("squares")
def box_three_dimensional(draw: Draw) -> Problem:
    t = np.arange(1.0, 11.0) / 10

    def fun(x: Any) -> Any:
        return _squares(np.exp(-t * x[0]) - np.exp(-t * x[1]) - x[2] * (np.exp(-t) - np.exp(-10 * t)))

    return problem(fun, draw.near([0.0, 10.0, 20.0], [1.0, 10.0, 20.0]))


@family("squares", 4, 40)
def powell_singular(draw: Draw, n: int) -> Problem:
    def fun(x: Any) -> Any:
        a, b, c, d = x[0::4], x[1::4], x[2::4], x[3::4]
        return np.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)

    return problem(fun, draw.near(np.tile([3.0, -1.0, 0.0, 1.0], n // 4)), 1.0)


@family("squares")
def wood(draw: Draw) -> Problem:
    def fun(x: Any) -> Any:
        a, b, c, d = x[0], x[1], x[2], x[3]
        valleys = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
        return valleys + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10

    return problem(fun, draw.near([-3.0, -1.0, -3.0, -1.0]), 1.0)


@family("squares")
def kowalik_osborne(draw: Draw) -> Problem:
    y = np.array([0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
    u = np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    return problem(
        lambda x: _squares(y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])),
        draw.near([0.25, 0.39, 0.415, 0.39], [0.25, 0.39, 0.415, 0.39]),
    )


@family("squares")
def brown_dennis(draw: Draw) -> Problem:
    t = np.arange(1.0, 21.0) / 5

    def fun(x: Any) -> Any:
        return _squares((x[0] + t * x[1] - np.exp(t)) ** 2 + (x[2] + x[3] * np.sin(t) - np.cos(t)) ** 2)

    return problem(fun, draw.near([25.0, 5.0, -5.0, -1.0]), 1.0)


@family("squares")
def biggs_exp6(draw: Draw) -> Problem:
    t = np.arange(1.0, 14.0) / 10
    y = np.exp(-t) - 5 * np.exp(-10 * t) + 3 * np.exp(-4 * t)

    def fun(x: Any) -> Any:
        return _squares(x[2] * np.exp(-t * x[0]) - x[3] * np.exp(-t * x[1]) + x[5] * np.exp(-t * x[4]) - y)

    return problem(fun, draw.near([1.0, 2.0, 1.0, 1.0, 1.0, 1.0]), 1.0)


@family("squares", 9, 20)
def watson(draw: Draw, n: int) -> Problem:
    t, j = np.arange(1.0, 30.0)[:, None] / 29, np.arange(n)
    values = t**j
    slopes = np.hstack([np.zeros((29, 1)), j[1:] * t ** j[:-1]])

    def fun(x: Any) -> Any:
        return _squares(slopes @ x - (values @ x) ** 2 - 1, x[0], x[1] - x[0] ** 2 - 1)

    return problem(fun, draw.near(np.zeros(n)), 1.0)


@family("squares", 10)
def penalty_1(draw: Draw, n: int) -> Problem:
    return problem(lambda x: 1e-5 * _squares(x - 1) + (np.sum(x**2) - 0.25) ** 2, draw.near(np.arange(1.0, n + 1)))


@family("squares", 10)
def penalty_2(draw: Draw, n: int) -> Problem:
    i = np.arange(2, n + 1)
    y = np.exp(i / 10) + np.exp((i - 1) / 10)

    def fun(x: Any) -> Any:
        curved = np.exp(x[1:] / 10) + np.exp(x[:-1] / 10) - y
        tail = np.exp(x[1:] / 10) - np.exp(-0.1)
        ball = np.sum(np.arange(n, 0.0, -1.0) * x**2) - 1
        return (x[0] - 0.2) ** 2 + 1e-5 * _squares(curved, tail) + ball**2

    return problem(fun, draw.near(np.full(n, 0.5)))


@family("squares", 12, 40)
def variably_dimensioned(draw: Draw, n: int) -> Problem:
    j = np.arange(1.0, n + 1)

    def fun(x: Any) -> Any:
        moment = np.sum(j * (x - 1))
        return _squares(x - 1) + moment**2 + moment**4

    return problem(fun, draw.near(1 - j / n, spread=0.02), 1.0)


@family("squares", 10, 40)
def trigonometric(draw: Draw, n: int) -> Problem:
    i = np.arange(1.0, n + 1)
    return problem(
        lambda x: _squares(n - np.sum(np.cos(x)) + i * (1 - np.cos(x)) - np.sin(x)),
        draw.near(np.full(n, 1 / n), 1 / n),
        1.0,
    )


@family("squares", 10)
def brown_almost_linear(draw: Draw, n: int) -> Problem:
    def fun(x: Any) -> Any:
        product = x[0]
        for k in range(1, n):
            product = product * x[k]
        return _squares(x[:-1] + np.sum(x) - (n + 1), product - 1)

    return problem(fun, draw.near(np.full(n, 0.5)))


@family("squares", 12, 40)
def discrete_boundary_value(draw: Draw, n: int) -> Problem:
    t = np.arange(1.0, n + 1) / (n + 1)
    laplacian = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    half_square = 0.5 / (n + 1) ** 2
    return problem(lambda x: _squares(laplacian @ x + half_square * (x + t + 1) ** 3), draw.near(t * (t - 1)), 1.0)


@family("squares", 12, 40)
def discrete_integral_equation(draw: Draw, n: int) -> Problem:
    t = np.arange(1.0, n + 1) / (n + 1)
    kernel = np.minimum.outer(t, t) * (1 - np.maximum.outer(t, t)) / (2 * (n + 1))
    return problem(lambda x: _squares(x + kernel @ (x + t + 1) ** 3), draw.near(t * (t - 1)), 1.0)


@family("squares", 40)
def broyden_tridiagonal(draw: Draw, n: int) -> Problem:
    neighbours = np.eye(n, k=-1) + 2 * np.eye(n, k=1)
    return problem(lambda x: _squares((3 - 2 * x) * x - neighbours @ x + 1), draw.near(-np.ones(n)), 1.0)


@family("squares", 25)
def broyden_banded(draw: Draw, n: int) -> Problem:
    offset = np.subtract.outer(np.arange(n), np.arange(n))
    band = ((offset <= 5) & (offset >= -1) & (offset != 0)).astype(np.float64)
    return problem(lambda x: _squares(x * (2 + 5 * x**2) + 1 - band @ (x * (1 + x))), draw.near(-np.ones(n)), 1.0)


@family("squares", 8, 20)
def chebyquad(draw: Draw, n: int) -> Problem:
    def fun(x: Any) -> Any:
        y = 2 * x - 1
        before, polynomial, total = 1.0, y, np.sum(y) ** 2 / n**2
        for i in range(2, n + 1):
            before, polynomial = polynomial, 2 * y * polynomial - before
            integral = 0.0 if i % 2 else -1 / (i**2 - 1)
            total = total + (np.sum(polynomial) / n - integral) ** 2
        return total

    return problem(fun, draw.near(np.arange(1.0, n + 1) / (n + 1), 0.1 / n), 1 / n)
