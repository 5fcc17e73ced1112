"""Numba functions as C callbacks: numba is detected, never imported first.

A dispatcher handed over as it is becomes a callback `double (int, double *, void *)`, or the gradient form, whose data
pointer leads to a block of memory: a flag (int64) that the callback raises where it caught an exception (numba would
swallow it and return 0.0), then the values of `args` as numba holds them. The callback is compiled once for each
dispatcher and types of args, and again where the dispatcher was recompiled; what changes from call to call travels in
the block.

A function compiled by numba does not give back the references that it holds where it raises. Arrays are therefore
handed to it as plain memory, which nobody counts: the block keeps them alive.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLAG_BYTES = 16  # the flag, and the alignment that numba expects of a struct


@dataclass(frozen=True, slots=True)
class Callback:
    """A compiled callback: where it is, what keeps it there, and whether it promised not to write into x."""

    address: int
    readonly: bool
    args_type: Any
    library: Any = field(repr=False)
    compiled_from: tuple[Any, str] | None = None
    """One of the dispatcher's own compilations, by its types, and its name, which is another once it is recompiled."""
    again: list[Any] = field(default_factory=list, repr=False)

    def is_of(self, dispatcher: Any) -> bool:
        """Whether the dispatcher has not been recompiled since."""
        return self.compiled_from is None or self.compiled_from[1] == _name_of(dispatcher, self.compiled_from[0])


def _name_of(dispatcher: Any, types: Any) -> str | None:
    compiled = dispatcher.overloads.get(types)
    return None if compiled is None else str(compiled.fndesc.unique_name)


@dataclass(slots=True, weakref_slot=True)
class Block:
    """The memory behind one worker's data pointer."""

    memory: NDArray[np.int64]
    args: tuple[Any, ...]

    @property
    def address(self) -> int:
        return int(self.memory.ctypes.data)


def is_dispatcher(obj: object) -> bool:
    """Whether obj is what `numba.njit` returns."""
    numba = sys.modules.get("numba")
    return numba is not None and isinstance(obj, numba.core.dispatcher.Dispatcher)


def positional(dispatcher: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return args with kwargs and defaults in their places: compiled code takes arguments by position only."""
    if not kwargs:
        return args
    bound = inspect.signature(dispatcher.py_func).bind(None, *args, **kwargs)
    bound.apply_defaults()
    return bound.args[1:]


@cache
def _blocks() -> Any:
    """Compile-time access to a block: the args stored as one struct behind the flag."""
    from numba import njit, types
    from numba.core import cgutils
    from numba.core.imputils import impl_ret_borrowed
    from numba.extending import intrinsic

    def behind_flag(context: Any, builder: Any, address: Any, args_type: Any) -> Any:
        struct = context.get_value_type(args_type).as_pointer()
        if not hasattr(address.type, "pointee") and address.type == context.get_value_type(types.intp):
            address = builder.inttoptr(address, cgutils.voidptr_t)
        return builder.bitcast(cgutils.pointer_add(builder, address, _FLAG_BYTES), struct)

    simple = (
        types.Array,
        types.Number,
        types.Boolean,
        types.NoneType,
        types.UnicodeType,
        types.NPDatetime,
        types.NPTimedelta,
        types.EnumMember,
        types.Dispatcher,
    )

    def is_plain(kind: Any) -> bool:
        """Whether no value of that type can take an array in, which would then outlive the block."""
        if isinstance(kind, types.BaseTuple):
            return all(map(is_plain, kind.types))
        return isinstance(kind, simple)

    def uncounted(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        """Take the references out of arrays and of tuples of them."""
        if isinstance(kind, types.BaseTuple):
            for place, part in enumerate(kind.types):
                inner = uncounted(context, builder, part, builder.extract_value(value, place))
                value = builder.insert_value(value, inner, place)
        elif isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            array.parent = cgutils.get_null_value(array.parent.type)
            value = array._getvalue()
        return value

    @intrinsic
    def size(typingctx, args):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            nbytes = context.get_abi_sizeof(context.get_value_type(signature.args[0]))
            return context.get_constant(types.intp, nbytes)

        return types.intp(args), codegen

    @intrinsic
    def store(typingctx, address, args):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            args_type, value = signature.args[1], values[1]
            if is_plain(args_type):
                value = uncounted(context, builder, args_type, value)
            context.nrt.incref(builder, args_type, value)
            builder.store(value, behind_flag(context, builder, values[0], args_type))

        return types.void(address, args), codegen

    @intrinsic
    def release(typingctx, address, args):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            args_type = signature.args[1]
            context.nrt.decref(builder, args_type, builder.load(behind_flag(context, builder, values[0], args_type)))

        return types.void(address, args), codegen

    def load(args_type: Any) -> Any:
        @intrinsic
        def load(typingctx, address):
            def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
                loaded = builder.load(behind_flag(context, builder, values[0], args_type))
                return impl_ret_borrowed(context, builder, args_type, loaded)

            return args_type(address), codegen

        return load

    @intrinsic
    def readonly(typingctx, array):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return impl_ret_borrowed(context, builder, signature.return_type, values[0])

        return array.copy(readonly=True)(array), codegen

    @njit
    def size_of(args):
        return size(args)

    @njit
    def pack(address, args):
        store(address, args)

    @njit
    def unpack(address, args):
        release(address, args)

    return size_of, pack, unpack, load, readonly


def block(callback: Callback, args: tuple[Any, ...]) -> Block:
    """Return a fresh block that holds args; numba's references to them are dropped with the block."""
    if not args:
        return Block(np.zeros(_FLAG_BYTES // 8, dtype=np.int64), args)
    size_of, pack, unpack, *_ = _blocks()
    memory = np.zeros((_FLAG_BYTES + size_of(args) + 7) // 8, dtype=np.int64)
    made = Block(memory, args)
    pack(made.address, args)
    # memory and args are arguments of the finalizer so that they outlive it.
    weakref.finalize(made, lambda keep, kept_args: unpack(keep.ctypes.data, kept_args), memory, args)
    return made


# The values hold compiled code only, not the dispatcher: a dispatcher that dies takes its entry along.
_CALLBACKS: weakref.WeakKeyDictionary[Any, dict[Any, Callback]] = weakref.WeakKeyDictionary()


def callback(dispatcher: Any, args: tuple[Any, ...], *, gradient: bool, part: int | None = None) -> Callback:
    """Return the callback of a dispatcher, compiled at its first use.

    Parameters
    ----------
    dispatcher : numba dispatcher
        f(x, *args) with x a float64 array of shape (n,).
    args : tuple
        Further arguments; their types decide the compilation, their values do not.
    gradient : bool
        Whether f returns the gradient, shape (n,), instead of one real number.
    part : int, optional
        Which element of a returned tuple is meant, for f that returns (value, gradient).

    Raises
    ------
    TypeError
        Numba cannot compile f for these arguments, or what f returns is not one real number (a gradient).
    """
    known = _CALLBACKS.setdefault(dispatcher, {})
    args_type = _type_of(args) if args else None
    key = (args_type, gradient, part)
    if key not in known or not known[key].is_of(dispatcher):
        known[key] = _compile(dispatcher, args_type, gradient, part)
    return known[key]


def call(dispatcher: Any, callback: Callback, memory: NDArray[np.int64], point: NDArray[np.float64]) -> Any:
    """Call the function behind a callback from Python, for the exception that it raises at a point.

    What it returns, and arrays that it raises, may lie in the memory of `point` and of the arguments.
    """
    if not callback.again:
        callback.again.append(_compile_again(dispatcher, callback))
    try:
        return callback.again[0](point.ctypes.data, point.size, memory.ctypes.data)
    except BaseException as error:
        with suppress(Exception):
            error.args = tuple(arg.copy() if isinstance(arg, np.ndarray) else arg for arg in error.args)
        raise


def _compile_again(dispatcher: Any, callback: Callback) -> Any:
    from numba import carray, njit, types
    from numba.extending import intrinsic

    @intrinsic
    def pointer(typingctx, address):
        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.inttoptr(values[0], context.get_value_type(signature.return_type))

        return types.CPointer(types.float64)(address), codegen

    evaluate, guard = _evaluation(dispatcher, callback.args_type, callback.readonly)

    @njit((types.intp, types.intp, types.intp))
    def again(x, n, data):
        return evaluate(guard(carray(pointer(x), n)), data)

    (compiled,) = again.overloads.values()
    return compiled.entry_point


def _type_of(args: tuple[Any, ...]) -> Any:
    from numba import typeof

    try:
        return typeof(tuple(args))
    except (TypeError, ValueError) as error:
        raise TypeError(f"args: numba has no type for them: {error}") from error


def _compile(dispatcher: Any, args_type: Any, gradient: bool, part: int | None) -> Callback:
    from numba.core.errors import NumbaError

    try:
        return _compile_for(dispatcher, args_type, gradient, part, readonly=True)
    except NumbaError:
        # f may write into x, or take writable arrays only: then x is written anew before each call.
        try:
            return _compile_for(dispatcher, args_type, gradient, part, readonly=False)
        except NumbaError as error:
            _check_number(dispatcher, 0 if args_type is None else len(args_type))
            raise TypeError(
                f"{'jac' if gradient else 'fun'}: numba cannot compile {dispatcher.py_func.__name__} as a function of "
                f"a float64 array that returns {'its gradient' if gradient else 'one real number'}: {_reason(error)}"
            ) from error


def _check_number(dispatcher: Any, args: int) -> None:
    """Refuse args that are too few or too many for f."""
    try:
        inspect.signature(dispatcher.py_func).bind(*range(1 + args))
    except TypeError as error:
        raise TypeError(f"args: {dispatcher.py_func.__name__}(x, *args): {error}") from None


def _reason(error: Exception) -> str:
    """Return what numba found wrong, without the way there, which names our wrappers."""
    lines = str(error).partition("\nDuring: ")[0].splitlines()
    return "\n".join(line for line in lines if not line.startswith("Failed in nopython mode pipeline")).strip()


def _evaluation(dispatcher: Any, args_type: Any, readonly: bool) -> tuple[Any, Any]:
    """Return compiled functions: f of x and the address of a block, and what makes x of an array."""
    from numba import njit

    *_, load, as_readonly = _blocks()
    guard = as_readonly if readonly else njit(lambda x: x)
    if args_type is None:

        @njit
        def evaluate(x, data):
            return dispatcher(x)

    else:
        load_args = load(args_type)

        @njit
        def evaluate(x, data):
            return dispatcher(x, *load_args(data))

    return evaluate, guard


def _compile_for(dispatcher: Any, args_type: Any, gradient: bool, part: int | None, *, readonly: bool) -> Callback:
    from numba import carray, cfunc, njit, types

    evaluate, guard = _evaluation(dispatcher, args_type, readonly)
    evaluate_part = evaluate
    if part is not None:

        @njit
        def evaluate_part(x, data):
            return evaluate(x, data)[part]

    coordinates = types.CPointer(types.float64)
    if gradient:

        @cfunc(types.void(types.intc, coordinates, coordinates, types.voidptr))
        def compiled(n, x, g, data):
            try:
                carray(g, n)[:] = evaluate_part(guard(carray(x, n)), data)
            except Exception:
                carray(data, 1, dtype=np.int64)[0] = 1

    else:

        @cfunc(types.float64(types.intc, coordinates, types.voidptr))
        def compiled(n, x, data):
            try:
                return types.float64(evaluate_part(guard(carray(x, n)), data))
            except Exception:
                carray(data, 1, dtype=np.int64)[0] = 1
                return np.nan

    types_now = next(reversed(dispatcher.overloads), None)
    name = None if types_now is None else _name_of(dispatcher, types_now)
    compiled_from = None if name is None else (types_now, name)
    return Callback(compiled.address, readonly, args_type, compiled._library, compiled_from)
