"""The C library, called without `ctypes`, whose import costs as much as the rest of the launcher."""

import _ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # as ctypes itself makes its types
    """A C int."""

    _type_ = "i"


class Function(_ctypes.CFuncPtr):
    """A function of the C library."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = Int


def ints(length: int) -> "Any":
    """The type of an array of so many C ints, which a call may write to."""
    return type("Ints", (_ctypes.Array,), {"_type_": Int, "_length_": length})


LIBRARY = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # the program itself


def call(name: str, *arguments: "Any") -> int:
    """Call a function with ints, bytes and arrays; minus the errno if it fails."""
    result: int = Function(_ctypes.dlsym(LIBRARY, name))(*arguments)
    return -_ctypes.get_errno() if result == -1 else result


def must(result: int) -> int:
    """The result of a call that has to succeed."""
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return result
