"""Fit the Southern Oscillation: gradient, Hessian, standard errors and the step length on real data.

ENSO (NIST StRD): monthly differences of atmospheric pressure between Easter Island and Darwin, Australia,
which drive the trade winds; 168 months, an annual cycle and two free ones, 9 parameters. f is the residual
sum of squares, and nothing but values of f is used: the derivatives written down below only judge.

    python examples/standard_errors.py            # prints the tables, saves taylor.png
"""

from __future__ import annotations

import sys
import time

import numpy as np
from nist_strd import Dataset, load

from hessfast import StepStatus, TaylorModel, hessian

INK, SOFT, SEA, CORAL = "#1b1f24", "#8b949e", "#1f6feb", "#d1495b"


def exact_derivatives(data: Dataset, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return gradient and Hessian of the residual sum, and 2JᵀJ, in closed form."""
    p, N = b.size, data.x.size
    J, second = np.zeros((p, N)), np.zeros((p, p, N))
    angle = 2 * np.pi * data.x / 12.0
    J[:3] = np.ones(N), np.cos(angle), np.sin(angle)
    for period in (3, 6):
        cosine, sine = period + 1, period + 2
        angle = 2 * np.pi * data.x / b[period]
        slope, bend = -angle / b[period], 2 * angle / b[period] ** 2
        across = b[sine] * np.cos(angle) - b[cosine] * np.sin(angle)
        along = b[cosine] * np.cos(angle) + b[sine] * np.sin(angle)
        J[[period, cosine, sine]] = across * slope, np.cos(angle), np.sin(angle)
        second[period, period] = across * bend - along * slope**2
        second[period, cosine] = second[cosine, period] = -np.sin(angle) * slope
        second[period, sine] = second[sine, period] = np.cos(angle) * slope
    residual = data.model(b, data.x) - data.y
    return 2 * J @ residual, 2 * (J @ J.T + second @ residual), 2 * J @ J.T


def fit(data: Dataset, b: np.ndarray) -> np.ndarray:
    """Descend to the least residual sum: Newton steps, Cauchy steps where H is not positive definite."""
    print(f"{'':>4} {'f':>14} {'|g|':>10} {'gᵀHg':>11} {'ε*':>10}   step taken")
    for iteration in range(30):
        model = TaylorModel.fit(data.residual_sum, b)
        best = model.step(max_step=1.0)
        try:
            s, kind = model.newton_step(), "Newton"
        except np.linalg.LinAlgError:
            s, kind = model.cauchy_step(radius=np.linalg.norm(b)), "Cauchy: H is not positive definite"
        # f cannot show a decrease below its own rounding.
        arrived = best.status is StepStatus.FLAT or -(model.g @ s) < 1e-14 * model.f0
        print(
            f"{iteration:4} {model.f0:14.8f} {np.linalg.norm(model.g):10.3g} {best.curvature:11.4g} "
            f"{best.step_length:10.4g}   {'none: no decrease left to promise' if arrived else kind}"
        )
        if arrived:
            return b
        while data.residual_sum(b + s) > model.f0 + 1e-4 * (model.g @ s):
            s = s / 2
        b = b + s
    raise RuntimeError("no minimum within 30 steps")


def report_fit(data: Dataset, b: np.ndarray) -> None:
    """Print parameters and standard errors beside NIST's certified values, and both Hessians beside the exact ones."""
    distance = hessian(data.model_distance, data.certified, full_output=True)
    residual = hessian(data.residual_sum, data.certified, full_output=True)
    deviation = np.sqrt(data.rss / data.degrees_of_freedom)
    value, error = (deviation * part for part in distance.standard_errors("chi2"))  # in units of the residuals'
    print("\n      parameter                               standard error")
    print("      fitted          certified       digits  hessfast        certified       digits  error bar")
    for i in range(b.size):
        deviations = compare(value[i], data.deviations[i])
        print(f"  b{i + 1}  {compare(b[i], data.certified[i])}    {deviations}    {error[i]:.0e}")
    print("\nNIST certifies s²(JᵀJ)⁻¹. The errors above are from 2JᵀJ, the Hessian of Σ(m(b) − m(b̂))².")
    _, exact, gauss = exact_derivatives(data, data.certified)
    for name, result, truth in (("2JᵀJ", distance, gauss), ("∇² of the residual sum", residual, exact)):
        unit = 1 / np.sqrt(np.diag(truth))
        scaled = unit * unit[:, None]
        wrong = np.abs(result.hess - truth)
        relative = np.linalg.norm(wrong * scaled) / np.linalg.norm(truth * scaled)
        inside = np.count_nonzero(wrong <= result.hess_error)
        print(f"  {name:<23} relative error {relative:.1e} in {result.nfev} evaluations; ", end="")
        print(f"{inside} of {wrong.size} entries within their error bars")


def compare(value: float, reference: float) -> str:
    """Return a value, its reference and how many digits agree, at most the 11 that NIST certifies."""
    wrong = abs(value / reference - 1)
    return f"{value:<15.10g} {reference:<15.10g} {-np.log10(max(wrong, 1e-11)):4.1f}"


def report_step(data: Dataset, b: np.ndarray) -> TaylorModel:
    """Print the Taylor model along −g at b beside the exact one."""
    model = TaylorModel.fit(data.residual_sum, b)
    step = model.step()
    g, H, _ = exact_derivatives(data, b)
    print(f"\nAt NIST's second start {step.message}.")
    for name, value, truth in (
        ("gᵀg", model.g @ model.g, g @ g),
        ("gᵀHg", step.curvature, g @ H @ g),
        ("ε*", step.step_length, (g @ g) / (g @ H @ g)),
    ):
        print(f"  {name:<5} {value:<20.12g} exact {truth:<20.12g} relative error {abs(value / truth - 1):.1e}")
    low, high = step.interval
    print(f"  ε* lies within {low:.12g} and {high:.12g}, says its error bar")
    terms = model.terms(step.step_length)
    print(f"  position {terms.position:.4f}, direction {terms.direction:.4f}, curvature {terms.curvature:+.4f}")
    reached = data.residual_sum(b - step.step_length * model.g)
    print(f"  The model promises f = {model.along(step.step_length):.2f} at ε*, where f is {reached:.2f};")
    print(f"  beyond 2ε* = {step.uphill_beyond:.6g} it goes uphill.")
    return model


def draw(data: Dataset, b: np.ndarray, model: TaylorModel, path: str) -> None:
    """Save the picture: the observations with the fit, and f with its Taylor model along −g."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"axes.edgecolor": SOFT, "axes.labelcolor": INK, "text.color": INK})
    figure, (above, below) = plt.subplots(2, 1, figsize=(8.6, 8.6), height_ratios=[1.0, 1.4], layout="constrained")
    months = np.linspace(data.x[0], data.x[-1], 1200)
    above.plot(data.x, data.y, "o", ms=3.2, color=SOFT, label="observed")
    above.plot(months, data.model(model.x0, months), color=CORAL, lw=1.1, alpha=0.8, label="start")
    above.plot(months, data.model(b, months), color=SEA, lw=2.0, label="fitted")
    above.set(xlabel="month", ylabel="pressure difference", xlim=(data.x[0], data.x[-1]), ylim=(-0.5, 20.5))
    above.set_title("Southern Oscillation: Easter Island − Darwin (NIST StRD, ENSO)", loc="left", weight="bold")
    above.legend(frameon=False, ncols=3, loc="upper right")
    above.spines[["top", "right"]].set_visible(False)
    model.plot(data.residual_sum, ax=below)
    below.set_title("Residual sum of squares along −g, from the start", loc="left", weight="bold")
    figure.savefig(path, dpi=130)


def main(path: str = "taylor.png") -> None:
    """Run the whole example."""
    began = time.perf_counter()
    data = load("ENSO")
    print(f"ENSO: {data.y.size} observations, {data.certified.size} parameters, f = residual sum of squares")
    b = fit(data, data.starts[0])
    print(f"f = {data.residual_sum(b):.10f}, certified {data.rss:.10f}")
    report_fit(data, b)
    model = report_step(data, data.starts[1])
    draw(data, b, model, path)
    print(f"\n{path} shows f and its Taylor model along −g. {time.perf_counter() - began:.1f} s in all.")


if __name__ == "__main__":
    main(*sys.argv[1:])
