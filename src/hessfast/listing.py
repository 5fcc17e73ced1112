"""How results print: one field a line, as those of SciPy do."""

from __future__ import annotations

import enum
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["Listed"]

WIDTH = 78

SHOWN = 8
"""Members of a tuple that are printed."""


class Listed:
    """A dataclass that prints its message and its fields, one a line, long arrays abridged."""

    __slots__ = ()

    def __repr__(self) -> str:
        lines = [("message", getattr(self, "message", None))]
        lines += [(field.name, getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]
        margin = max(len(name) for name, _ in lines)
        with np.printoptions(linewidth=WIDTH - margin - 2, threshold=16, edgeitems=2, formatter={"object": _plain}):
            texts = [(name, _plain(value)) for name, value in lines if value is not None]
        below = "\n" + (margin + 2) * " "  # where the further lines of an array stand
        return "\n".join(f"{name:>{margin}}: " + text.replace("\n", below) for name, text in texts)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, and what is said of them, as plain arrays, numbers, strings, lists and dictionaries."""
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        said = [name for name in ("success", "message", "resolved") if name not in names and hasattr(self, name)]
        return {name: _simple(getattr(self, name)) for name in (*names, *said)}


def _simple(value: Any) -> Any:
    """Take a value apart into what needs nothing of this package to be read."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Listed):
        return value.to_dict()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _simple(part) for name, part in zip(value._fields, value, strict=True)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _simple(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_simple(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return np.array([_simple(part) for part in value.ravel()]).reshape(value.shape)
    return value


def _plain(value: Any) -> str:
    """Spell a value for reading: statuses by their word, records on one line, numbers in ten digits."""
    if isinstance(value, enum.Enum):
        return str(value.value)
    if isinstance(value, Listed):
        return f"a {type(value).__name__}"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return ", ".join(f"{name} {_plain(part)}" for name, part in zip(value._fields, value, strict=True))
    if isinstance(value, tuple):
        return f"({', '.join(map(_plain, value[:SHOWN]))}{f', ... {len(value)} in all' if len(value) > SHOWN else ''})"
    if is_dataclass(value) and not isinstance(value, type):
        return f"({', '.join(f'{field.name} {_plain(getattr(value, field.name))}' for field in fields(value))})"
    if isinstance(value, (float, np.floating)):
        return f"{value:.10g}"
    return str(value)
