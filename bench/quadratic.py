"""Print how fast the kernels of quadratic forms are beside their best rivals: medians of interleaved runs, quartiles.

    OPENBLAS_NUM_THREADS=1 python bench/quadratic.py [SECTION ...] [--plot FILE]

The sections are sizes, grid, stacks, storage, vectors, symmetrize and threads; the grid takes minutes.
HESSFAST_SIMD=baseline does it on that level. Each answer is compared before it is timed. Single-threaded runs are timed
by the thread's own processor time, so that other programs on the machine count only for the memory they keep busy.
"""

import argparse
import itertools
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.linalg.blas import dsymv
from threadpoolctl import threadpool_limits

from hessfast import quadratic_form, show_config
from hessfast.algebra import _quadform

SLICE = 4e-4  # seconds of one measurement, at least: a hundred times what reading the clock costs
LONG = 0.1  # seconds of a run that is repeated five times only
SPINNING = 0.2  # seconds that BLAS's own threads go on looking for work after a product, in the way of ours
STACK_BYTES = 1 << 32  # of the largest stack; the rivals need some of it once more
ORDERS = (1, 2, 3, 4, 7, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
SIZES = (16, 32, 64, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)


def race(ours, rivals, *, rounds=15, clock=time.thread_time, pause=0.0):
    """Time each callable in turn; return the median and the quartiles of rival / ours for each rival."""
    runs = [ours, *rivals]
    repeats = []
    for run in runs:
        start = time.perf_counter()
        run()
        once = max(time.perf_counter() - start, 1e-7)
        repeats.append(max(1, round(SLICE / once)))
        if once > LONG:
            rounds = min(rounds, 5)
    times = [[] for _ in runs]
    for shift in range(rounds):
        for at in range(len(runs)):
            lane = (at + shift) % len(runs)
            time.sleep(pause)
            start = clock()
            for _ in range(repeats[lane]):
                runs[lane]()
            times[lane].append((clock() - start) / repeats[lane])
    quotients = [sorted(theirs / mine for mine, theirs in zip(times[0], lane, strict=True)) for lane in times[1:]]
    return statistics.median(times[0]), [statistics.quantiles(some, n=4) for some in quotients]


def said(quartiles):
    low, median, high = quartiles
    return f"{median:6.2f} ({low:.2f} .. {high:.2f})"


def symmetric(n, rng):
    H = rng.standard_normal((n, n))
    H += H.T
    return H, rng.standard_normal(n)


def agree(values, expected, size):
    assert np.all(np.abs(values - expected) <= 1e-12 * size), "the answers differ"


def sizes(rng):
    print("g'Hg, one thread: rival / ours, and ours as a share of the read bandwidth of the triangle's bytes")
    print(f"{'n':>6} {'time':>10} {'g @ H @ g':>24} {'dsymv + dot':>24} {'of bandwidth':>24}")
    points = []
    for n in SIZES:
        H, g = symmetric(n, rng)
        triangle = np.ones(n * (n + 1) // 2)
        agree(quadratic_form(H, g), g @ H @ g, abs(g) @ abs(H) @ abs(g))
        mine, quotients = race(
            lambda H=H, g=g: quadratic_form(H, g),
            [
                lambda H=H, g=g: g @ H @ g,
                lambda H=H, g=g: g @ dsymv(1.0, H.T, g, lower=0),
                lambda triangle=triangle: _quadform.read(triangle),
            ],
        )
        print(f"{n:6} {mine * 1e6:8.1f}us " + " ".join(f"{said(each):>24}" for each in quotients), flush=True)
        points.append((n, *(each[1] for each in quotients)))
    return points


def grid(rng):
    print("\nNever slower than NumPy: fastest rival / ours, call included; cells below 0.97 are marked")
    for n in ORDERS:
        H, _ = symmetric(n, rng)
        for k in (1, 2, 4, 8, 16, 32, 64, 128, 256):
            G = rng.standard_normal((k, n))
            rivals = [lambda H=H, G=G: ((G @ H) * G).sum(1)]
            if n * n * k < 1e6:
                rivals.append(lambda H=H, G=G: np.einsum("ki,ij,kj->k", G, H, G))
            if k == 1:
                g = G[0]
                rivals.append(lambda H=H, g=g: g @ H @ g)
            cell("k", n, k, lambda H=H, G=G: quadratic_form(H, G), rivals)
    del H, rivals
    stacks(rng, ORDERS, (1, 16, 4096))


def stacks(rng, orders=(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64), counts=(16, 256, 4096)):
    print("\nb matrices, one vector each: the best of einsum and matmul / ours")
    for n, b in itertools.product(orders, counts):
        if 8 * n * n * b > STACK_BYTES:
            continue
        H = rng.standard_normal((b, n, n))
        H += H.transpose(0, 2, 1)
        G = rng.standard_normal((b, n))
        rivals = [
            lambda H=H, G=G: np.einsum("bi,bij,bj->b", G, H, G),
            lambda H=H, G=G: (G[:, None, :] @ H @ G[:, :, None])[:, 0, 0],
            lambda H=H, G=G: ((H @ G[:, :, None])[:, :, 0] * G).sum(1),
        ]
        cell("b", n, b, lambda H=H, G=G: quadratic_form(H, G), rivals)


def cell(kind, n, count, ours, rivals):
    agree(ours(), rivals[0](), 1e3 * n * n)
    mine, quotients = race(ours, rivals, rounds=9)
    best = min(quotients, key=lambda each: each[1])
    mark = "   <---" if best[1] < 0.97 else ""
    print(f"n = {n:5} {kind} = {count:5} {mine * 1e6:10.2f}us {said(best)}{mark}", flush=True)


def storage(rng):
    print("\nOther storage and sums: time / plain float64")
    print(f"{'n':>6} {'float32':>22} {'packed':>22} {'compensated':>22} {'F order':>22}")
    for n in (64, 256, 1024, 2048, 4096, 8192):
        H, g = symmetric(n, rng)
        single, packed = H.astype(np.float32), H[np.tril_indices(n)]
        columns = np.asfortranarray(H)
        assert quadratic_form(packed, g) == quadratic_form(columns, g) == quadratic_form(H, g)
        _, quotients = race(
            lambda H=H, g=g: quadratic_form(H, g),
            [
                lambda H=single, g=g: quadratic_form(H, g),
                lambda H=packed, g=g: quadratic_form(H, g),
                lambda H=H, g=g: quadratic_form(H, g, compensated=True),
                lambda H=columns, g=g: quadratic_form(H, g),
            ],
        )
        print(f"{n:6} " + " ".join(f"{said(each):>22}" for each in quotients), flush=True)


def vectors(rng):
    print("\nk vectors, one H: ((G @ H) * G).sum(1) / ours")
    for n, k in itertools.product((1024, 2048, 4096), (8, 32, 256)):
        H, _ = symmetric(n, rng)
        G = rng.standard_normal((k, n))
        _, quotients = race(lambda H=H, G=G: quadratic_form(H, G), [lambda H=H, G=G: ((G @ H) * G).sum(1)], rounds=9)
        print(f"n = {n:5} k = {k:4} {said(quotients[0])}", flush=True)


def symmetrize(rng):
    print("\n(G + G.T) / 2 / ours in place; memcpy / ours")
    for n in (100, 1000, 1024, 2000, 4000, 4096):
        G = rng.standard_normal((n, n))
        other = G.copy()
        mean = (G + G.T) / 2
        _quadform.symmetrize(other, 0, n)
        assert np.array_equal(other, mean)
        _, quotients = race(
            lambda G=G, n=n: _quadform.symmetrize(G, 0, n),
            [lambda G=G: (G + G.T) / 2, lambda G=G, other=other: np.copyto(other, G)],
        )
        print(f"n = {n:5} {said(quotients[0])} {said(quotients[1])}", flush=True)


def threads(rng):
    print("\nTwo threads, after a pause for BLAS's own to fall asleep: g @ H @ g with two / ours with two;")
    print("ours with one / ours with two; ours as a share of what two threads read")
    for n in (4096, 6144, 8192, 16384):
        H, g = symmetric(n, rng)
        half = np.ones(n * (n + 1) // 4)
        both = half, half.copy()

        def read(both=both):
            with ThreadPoolExecutor(1) as other:
                other.submit(_quadform.read, both[1])
                _quadform.read(both[0])

        with threadpool_limits(2, "blas"):
            _, quotients = race(
                lambda H=H, g=g: quadratic_form(H, g, workers=2),
                [lambda H=H, g=g: g @ H @ g, lambda H=H, g=g: quadratic_form(H, g), read],
                clock=time.perf_counter,
                pause=SPINNING,
            )
        print(f"n = {n:5} " + " ".join(said(each) for each in quotients), flush=True)


def plot(points, path):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(7, 4))
    n, *ratios = zip(*points, strict=True)
    for ratio, name in zip(ratios, ("g @ H @ g", "dsymv + dot", "reading the triangle"), strict=True):
        ax.plot(n, ratio, "o-", label=name)
    ax.axhline(1.0, color="0.6", linewidth=1)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log", base=2)
    ax.set_yticks([0.5, 1, 2, 4, 8, 16], ["1/2", "1", "2", "4", "8", "16"])
    ax.set_xlabel("n")
    ax.set_ylabel("time / time of quadratic_form")
    ax.set_title(f"g'Hg, one thread, {_quadform.SIMD_LEVEL}")
    ax.legend()
    plt.savefig(path, dpi=100, bbox_inches="tight")


SECTIONS = {each.__name__: each for each in (sizes, grid, stacks, storage, vectors, symmetrize, threads)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", nargs="*", choices=[[], *SECTIONS], help="what to measure; everything by default")
    parser.add_argument("--plot", metavar="FILE", help="save the ratios against n, from `sizes`")
    arguments = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        print("OPENBLAS_NUM_THREADS is not 1: the rivals may use several threads")
    show_config()
    print()
    rng = np.random.default_rng(0)
    results = {name: SECTIONS[name](rng) for name in arguments.section or SECTIONS}
    if arguments.plot:
        plot(results.get("sizes") or sizes(rng), arguments.plot)


if __name__ == "__main__":
    main()
