"""Native functions as users hold them: addresses, capsules, ctypes, cffi and numba, read for address and signature."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from hessfast.arguments import plain
from hessfast.calls import njit

Form = Literal["with_data", "plain", "gradient"]

_SIGNATURES: dict[str, Form] = {
    "double(int,double*,void*)": "with_data",
    "double(int,double*)": "plain",
    "void(int,double*,double*,void*)": "gradient",
}

_ACCEPTED = "double (int, double *, void *), double (int, double *) or void (int, double *, double *, void *)"


@dataclass(frozen=True, slots=True)
class NativeFunction:
    """An address to call without the GIL.

    Attributes
    ----------
    address : int
        Address of the machine code.
    form : {"with_data", "plain", "gradient"}
        Which of the three signatures it has.
    data : int or callable
        The data pointer, or a factory called once a worker that returns one (or an object with one).
    refill : bool
        Whether x is written anew before each call, for callbacks known to write into it.
    keepalive : object
        Whatever the pointers depend on.
    dispatcher, args, part
        Where it was compiled from a numba function: the function, the arguments that its data pointer leads to, and
        which element of what it returns is meant. Points at which it raised are called again through it.
    """

    address: int
    form: Form
    data: Any = 0
    refill: bool = False
    keepalive: Any = field(default=None, repr=False)
    dispatcher: Any = None
    args: tuple[Any, ...] = ()
    part: int | None = None
    callback: njit.Callback | None = field(default=None, repr=False)


def native(obj: object, *, signature: str | None = None, data: Any = None, keepalive: object = None) -> NativeFunction:
    """Wrap a native function: an address, capsule, cffi or ctypes function, with its data pointer.

    Parameters
    ----------
    obj : int, PyCapsule, ctypes function, cffi function pointer, numba cfunc or scipy.LowLevelCallable
        What to call. An int is an address and needs `signature`.
    signature : str, optional
        ``"double (int, double *, void *)"``, ``"double (int, double *)"`` or, for a gradient,
        ``"void (int, double *, double *, void *)"``. Read from the object where it declares one.
    data : int, ctypes pointer, capsule, ndarray or callable, optional
        The last argument of the callback; a callable is called once for each worker and returns that worker's own.
    keepalive : object, optional
        Kept as long as the wrapper lives.

    Returns
    -------
    NativeFunction
        Accepted as `fun` or `jac` everywhere.

    Raises
    ------
    TypeError
        The object is no native function, its declared signature is not one of the three, or it calls Python.
    ValueError
        An address of 0, or `signature` contradicts the one that the object declares.
    """
    found = read_native(obj, signature)
    if found is None:
        if callable(obj):
            raise TypeError(
                f"obj: {type(obj).__name__} needs no wrapper: pass it as fun or jac itself, numba functions too"
            )
        raise TypeError(
            f"obj: {type(obj).__name__} is no native function; pass an address with its signature, a PyCapsule, a "
            "ctypes or cffi function, a numba cfunc or a scipy.LowLevelCallable"
        )
    return replace(
        found,
        data=found.data if data is None else data,
        keepalive=(obj, data, keepalive, found.keepalive),
    )


def read_native(obj: Any, signature: str | None) -> NativeFunction | None:
    """Read address and signature from whatever kind of native function obj is; None for anything else."""
    if isinstance(obj, NativeFunction):
        return obj
    if isinstance(obj, int) and not isinstance(obj, bool):
        if signature is None:
            raise TypeError("signature: an address alone does not say how it is called")
        return _checked(obj, signature, None, obj)
    if _is_ctypes_function(obj):
        return _from_ctypes(obj, signature)
    kind = type(obj).__name__
    if kind == "PyCapsule":
        return _from_capsule(obj, signature)
    if kind == "LowLevelCallable" and isinstance(obj, tuple):
        return _from_low_level_callable(obj, signature)
    if type(obj).__module__ == "numba.core.ccallback" and kind == "CFunc":
        return _checked(obj.address, signature, _numba_signature(obj._sig), obj)
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and isinstance(obj, cffi._CDataBase):
        return _from_cffi(cffi, obj, signature)
    return None


def _checked(address: int, given: str | None, declared: str | None, keepalive: object) -> NativeFunction:
    if given is not None and declared is not None and _normal(given) != _normal(declared):
        raise ValueError(f"signature: {given!r} was given, but the function declares {declared!r}")
    signature = declared if given is None else given
    if signature is None:
        raise TypeError("signature: the function declares none; give it")
    form = _SIGNATURES.get(_normal(signature))
    if form is None:
        raise TypeError(f"signature: {signature!r} is not {_ACCEPTED}")
    if address == 0:
        raise ValueError("obj: the address is 0")
    return NativeFunction(address, form, keepalive=keepalive)


@cache
def _normal(signature: str) -> str:
    """Spell a C signature without blanks, qualifiers and the names of arguments."""
    text = re.sub(r"\b(const|volatile|restrict|noexcept|nogil)\b", " ", signature)
    text = re.sub(r"([*,(]\s*|\b(?:int|double|void)\s+)(?!int\b|double\b|void\b)[A-Za-z_]\w*", r"\1", text)
    return re.sub(r"\s+", "", text)


def _from_capsule(capsule: object, signature: str | None) -> NativeFunction:
    import ctypes

    api = ctypes.pythonapi
    get_name = _prototype(api.PyCapsule_GetName, ctypes.c_char_p)
    name = get_name(ctypes.py_object(capsule))
    get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", api))
    get_context = _prototype(api.PyCapsule_GetContext, ctypes.c_void_p)
    declared = None if name is None else name.decode()
    found = _checked(get_pointer(capsule, name), signature, declared, capsule)
    return replace(found, data=get_context(ctypes.py_object(capsule)) or 0)


def _prototype(function: Any, result: Any) -> Any:
    import ctypes

    return ctypes.PYFUNCTYPE(result, ctypes.py_object)((function.__name__, ctypes.pythonapi))


def _is_ctypes_function(obj: object) -> bool:
    """Whether obj is a ctypes function; where nobody imported ctypes there is none."""
    ctypes = sys.modules.get("_ctypes")
    return ctypes is not None and isinstance(obj, ctypes.CFuncPtr)


def _from_ctypes(function: Any, signature: str | None) -> NativeFunction:
    import ctypes

    if function._flags_ & 0x4:  # FUNCFLAG_PYTHONAPI
        raise TypeError("fun: a PYFUNCTYPE function needs the GIL; pass the Python function it wraps")
    if _wraps_python(function):
        raise TypeError("fun: a ctypes callback around a Python function; pass the Python function itself")
    declared = None
    if function.argtypes is not None:
        returned = _ctypes_name(function.restype)
        declared = f"{returned}({','.join(_ctypes_name(kind) for kind in function.argtypes)})"
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return _checked(address, signature, declared, function)


def _wraps_python(function: Any) -> bool:
    """CFUNCTYPE(...)(python_function) keeps its thunk among the objects it depends on."""
    kept = function._objects
    return kept is not None and any(type(item).__name__ == "CThunkObject" for item in dict(kept).values())


def _ctypes_name(kind: Any) -> str:
    import ctypes

    if kind is None:
        return "void"
    if kind is ctypes.c_void_p:
        return "void*"
    if kind is ctypes.c_int:
        return "int"
    if kind is ctypes.c_double:
        return "double"
    pointed = getattr(kind, "_type_", None)
    if isinstance(pointed, type) and hasattr(kind, "contents"):
        return f"{_ctypes_name(pointed)}*"
    return str(getattr(kind, "__name__", kind))


def _from_low_level_callable(callable_: Any, signature: str | None) -> NativeFunction:
    """A LowLevelCallable is (capsule, function, user_data); the capsule's name is the signature."""
    if _is_ctypes_function(callable_.function):
        _from_ctypes(callable_.function, None)  # refuses functions that call Python
    found = _from_capsule(tuple.__getitem__(callable_, 0), signature)
    return replace(found, keepalive=callable_)


def _numba_signature(signature: Any) -> str:
    names = {"int32": "int", "float64": "double", "float64*": "double*", "void*": "void*", "none": "void"}
    returned = names.get(str(signature.return_type), str(signature.return_type))
    return f"{returned}({','.join(names.get(str(arg), str(arg)) for arg in signature.args)})"


def _from_cffi(backend: Any, obj: Any, signature: str | None) -> NativeFunction:
    ffi = backend.FFI()
    kind = ffi.typeof(obj)
    if kind.kind != "function":
        raise TypeError(f"fun: a cffi object of type {kind.cname!r} is no function pointer")
    if "calling <" in repr(obj) or "<function" in repr(obj):
        raise TypeError("fun: a cffi callback around a Python function; pass the Python function itself")
    declared = f"{kind.result.cname}({','.join(arg.cname for arg in kind.args)})"
    return _checked(int(ffi.cast("uintptr_t", obj)), signature, declared, obj)


def data_address(data: Any) -> tuple[int, object]:
    """Return the address that a data argument means, and the object that keeps it alive."""
    import ctypes

    if callable(data):
        data = data()
    if data is None:
        return 0, None
    if isinstance(data, (int, np.integer)):
        return int(data), None
    if isinstance(data, np.ndarray):
        return int(plain("data", data).ctypes.data), data
    if type(data).__name__ == "PyCapsule":
        return _capsule_pointer(data), data
    if isinstance(data, (ctypes._Pointer, ctypes.c_void_p)):
        return ctypes.cast(data, ctypes.c_void_p).value or 0, data
    if isinstance(data, (ctypes.Array, ctypes.Structure)):
        return ctypes.addressof(data), data
    cffi = sys.modules.get("_cffi_backend")
    if cffi is not None and isinstance(data, cffi._CDataBase):
        return int(cffi.FFI().cast("uintptr_t", data)), data
    raise TypeError(f"data: {type(data).__name__} holds no address")


def _capsule_pointer(capsule: object) -> int:
    import ctypes

    name = _prototype(ctypes.pythonapi.PyCapsule_GetName, ctypes.c_char_p)(ctypes.py_object(capsule))
    get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return get_pointer(capsule, name) or 0
