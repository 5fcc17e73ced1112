"""One f in every native form: log-sum-exp of a fixed 20 x 12 matrix, and what counts its calls."""

import ctypes
import shutil
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

N, ROWS = 12, 20
_rng = np.random.default_rng(20)
A = _rng.standard_normal((ROWS, N))
B = _rng.standard_normal(ROWS)
X0 = 0.3 * _rng.standard_normal(N)


def log_sum_exp(x):
    z = A @ x + B
    top = z.max()
    return top + np.log(np.exp(z - top).sum())


def log_sum_exp_columns(X):
    z = A @ X + B[:, None]
    top = z.max(axis=0)
    return top + np.log(np.exp(z - top).sum(axis=0))


def gradient(x):
    z = A @ x + B
    p = np.exp(z - z.max())
    return A.T @ (p / p.sum())


def gradient_columns(X):
    z = A @ X + B[:, None]
    p = np.exp(z - z.max(axis=0))
    return A.T @ (p / p.sum(axis=0))


def exact_hessian(x):
    z = A @ x + B
    p = np.exp(z - z.max())
    p /= p.sum()
    return A.T @ (np.diag(p) - np.outer(p, p)) @ A


_SOURCE = r"""
#include <math.h>
#include <unistd.h>
static const double a[%d][%d] = {%s};
static const double b[%d] = {%s};
static long calls;
long count(void) { return calls; }
void reset(void) { calls = 0; }
double lse(int n, double *x, void *data)
{
    double z[%d], top = -1e300, sum = 0.0;
    (void)data;
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < %d; i++) {
        z[i] = b[i];
        for (int k = 0; k < n; k++) z[i] += a[i][k] * x[k];
        if (z[i] > top) top = z[i];
    }
    for (int i = 0; i < %d; i++) sum += exp(z[i] - top);
    return top + log(sum);
}
double lse_plain(int n, double *x) { return lse(n, x, 0); }
void lse_gradient(int n, double *x, double *g, void *data)
{
    double z[%d], top = -1e300, sum = 0.0;
    (void)data;
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < %d; i++) {
        z[i] = b[i];
        for (int k = 0; k < n; k++) z[i] += a[i][k] * x[k];
        if (z[i] > top) top = z[i];
    }
    for (int i = 0; i < %d; i++) sum += exp(z[i] - top);
    for (int k = 0; k < n; k++) {
        g[k] = 0.0;
        for (int i = 0; i < %d; i++) g[k] += exp(z[i] - top) / sum * a[i][k];
    }
}
double scaled(int n, double *x, void *data) { return *(double *)data * lse(n, x, 0); }
double scribbling(int n, double *x, void *data) { double f = lse(n, x, data); x[3] = 9.0; return f; }
double slow(int n, double *x, void *data) { usleep(20000); return lse(n, x, data); }
"""


@cache
def library():
    """Return the callbacks compiled by the machine's C compiler."""
    folder = Path(mkdtemp())
    numbers = (ROWS, N, ",".join("{" + ",".join(map(repr, map(float, row))) + "}" for row in A))
    source = folder / "callbacks.c"
    text = _SOURCE % (*numbers, ROWS, ",".join(map(repr, map(float, B))), *([ROWS] * 7))
    source.write_text(text)
    target = folder / f"callbacks{sysconfig.get_config_var('SHLIB_SUFFIX')}"
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))))
    subprocess.run(
        [compiler, "-O2", "-ffp-contract=off", "-shared", "-fPIC", str(source), "-o", str(target), "-lm"], check=True
    )
    lib = ctypes.CDLL(str(target))
    coordinates = ctypes.POINTER(ctypes.c_double)
    for name in ("lse", "scaled", "scribbling", "slow"):
        getattr(lib, name).argtypes = (ctypes.c_int, coordinates, ctypes.c_void_p)
        getattr(lib, name).restype = ctypes.c_double
    lib.lse_plain.argtypes = (ctypes.c_int, coordinates)
    lib.lse_plain.restype = ctypes.c_double
    lib.lse_gradient.argtypes = (ctypes.c_int, coordinates, coordinates, ctypes.c_void_p)
    lib.lse_gradient.restype = None
    lib.count.restype = ctypes.c_long
    return lib


def address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def capsule(function, signature):
    """Return a PyCapsule of a ctypes function with its signature as the name."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    name = signature.encode()
    made = new(address(function), name, None)
    _names.append(name)  # the capsule keeps a bare pointer to it
    return made


_names = []
