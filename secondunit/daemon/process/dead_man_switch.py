"""Dead man's switch: ends a process whose event loop stands still, by means that need neither the loop nor the GIL.

An extension in C, or `re` on the wrong text, can hold the GIL for ever: nothing of Python's runs again, no thread and
no handler, and the exit of faulthandler's own watchdog has no other code than 1. So the C library does it all: a POSIX
timer whose ticks each take one character from a stream of stdio; and a stream whose source, asked for more once it is
empty, is the function to call. A beat sets the timer back before it ever ticks. A process that was paused gets one tick
when it goes on, however long the pause was, and its loop has until the next one to beat.
"""

import ctypes
import faulthandler
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

CLOCK_MONOTONIC, SIGEV_THREAD, FULLY_BUFFERED = 1, 2, 0
ANY_CHARACTER = 1
ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
HANDLERS_STACK = 64 * 1024
HEEDLESS_AFTER = 2.0  # and half a second: then a signal that asks is no longer left to a handler that can't run

_libc = ctypes.CDLL(None, use_errno=True)
_pointer = ctypes.c_void_p


class _Source(ctypes.Structure):
    """`cookie_io_functions_t` of fopencookie(3)."""

    _fields_ = [(name, _pointer) for name in ("read", "write", "seek", "close")]


class _Notice(ctypes.Structure):
    """`struct sigevent`: call `function(value)` on a thread of its own."""

    _fields_ = [
        ("value", _pointer),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", _pointer),
        ("attributes", _pointer),
        ("padding", ctypes.c_char * 32),
    ]


class _Schedule(ctypes.Structure):
    """`struct itimerspec`: when first, and every how long from then on."""

    _fields_ = [(name, ctypes.c_long) for name in ("every", "every_ns", "first", "first_ns")]


class _Stack(ctypes.Structure):
    """`stack_t` of sigaltstack(2)."""

    _fields_ = [("memory", _pointer), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


_libc.malloc.restype = _pointer
_libc.malloc.argtypes = (ctypes.c_size_t,)
_libc.fopencookie.restype = _pointer
_libc.fopencookie.argtypes = (_pointer, ctypes.c_char_p, _Source)
_libc.setvbuf.argtypes = (_pointer, _pointer, ctypes.c_int, ctypes.c_size_t)
_libc.ungetc.argtypes = (ctypes.c_int, _pointer)
_libc.fclose.argtypes = (_pointer,)
_libc.timer_create.argtypes = (ctypes.c_int, _pointer, _pointer)
_libc.timer_settime.argtypes = (_pointer, ctypes.c_int, _pointer, _pointer)
_libc.timer_delete.argtypes = (_pointer,)


class _Timer:
    """Calls a C function of one argument, on a thread that knows nothing of Python."""

    def __init__(self, function: str, value: int) -> None:
        notice = _Notice(value, 0, SIGEV_THREAD, _address(function))
        self._timer = _pointer()
        _checked(_libc.timer_create(CLOCK_MONOTONIC, ctypes.byref(notice), ctypes.byref(self._timer)))

    def set(self, first: float, every: float = 0.0) -> None:
        """Tick after `first` seconds, then `every` so many; not at all for 0."""
        schedule = _Schedule(int(every), int(every % 1 * 1e9), int(first), int(first % 1 * 1e9))
        _checked(_libc.timer_settime(self._timer, 0, ctypes.byref(schedule), None))

    def delete(self) -> None:
        """It ticks no more."""
        _checked(_libc.timer_delete(self._timer))


class Fuse:
    """Calls `function(value, other)` of the C library at the tick after `ticks` others, unless lit anew before."""

    def __init__(self, ticks: int, function: str, value: int, other: int = 0) -> None:
        # read(cookie, buffer, size) is how stdio asks a source: its cookie and its buffer are the two values
        self._stream = _libc.fopencookie(value, b"r", _Source(_address(function)))
        if other:
            _libc.setvbuf(self._stream, other, FULLY_BUFFERED, 1)
        for _ in range(ticks):
            _libc.ungetc(ANY_CHARACTER, self._stream)
        self._ticking = _Timer("fgetc", self._stream)

    def light(self, first: float, every: float) -> None:
        """Let the first tick come after `first` seconds, and the others `every` so many."""
        self._ticking.set(first, every)

    def out(self) -> None:
        """It burns no more."""
        self._ticking.delete()

    def clear(self) -> None:
        """Give back what it holds, once no tick can be under way any more."""
        _libc.fclose(self._stream)


def _widen_stack_of_handlers() -> None:
    """Give this thread's handlers an alternate stack that holds all signals at once, for as long as the process lives.

    faulthandler's own has 8 KiB, and Python's handlers run on it: six that arrived together overran it.
    """
    stack = _Stack(_libc.malloc(HANDLERS_STACK), 0, HANDLERS_STACK)
    if _libc.sigaltstack(ctypes.byref(stack), None) != 0:
        raise OSError(ctypes.get_errno(), "sigaltstack failed")


class DeadManSwitch:
    """Ends the process with `code` when nothing beats for `seconds`, all threads' tracebacks in the log before.

    Without a beat for 2.5 seconds, a signal that asks to stop ends it at once, with 0. Not armed for 0 seconds, nor
    under a debugger. `on_revival` is called at a beat that comes late, after the handlers of signals were replaced.
    """

    def __init__(self, seconds: float, code: int, log: int, on_revival: Callable[[], None]) -> None:
        self.armed = bool(seconds) and not _debugged()
        self._seconds = seconds
        self._code = code
        self._on_revival = on_revival
        self._fuses: list[tuple[Fuse, float, float]] = []
        self._burnt: list[Fuse] = []
        self._late = min(HEEDLESS_AFTER, seconds / 2) * 7 / 8
        self._beaten = time.monotonic()
        if not self.armed:
            return
        faulthandler.enable(log)
        faulthandler.register(signal.SIGQUIT, log)
        _widen_stack_of_handlers()
        _quick_exit_with_0()
        sys.breakpointhook = self._at_breakpoint(sys.breakpointhook)
        self._lay()
        self.beat()

    @property
    def every(self) -> float:
        """How often to beat, in seconds."""
        return min(1.0, self._seconds / 8) if self.armed else 1.0

    def beat(self) -> None:
        """The loop turns."""
        if not self.armed:
            return
        now = time.monotonic()
        if now - self._beaten >= self._late:
            self._put_out()
            self._on_revival()
            self._lay()
        self._beaten = now
        for fuse, first, every in self._fuses:
            fuse.light(first, every)

    def disarm(self) -> None:
        """Let the process be from now on."""
        self.armed = False
        self._put_out()

    def _put_out(self) -> None:
        for fuse in self._burnt:
            fuse.clear()
        self._burnt = [fuse for fuse, _, _ in self._fuses]
        for fuse in self._burnt:
            fuse.out()
        self._fuses = []

    def _lay(self) -> None:
        half, quarter = self._seconds / 2, self._seconds / 4
        heedless = min(HEEDLESS_AFTER, half)
        self._fuses = [
            (Fuse(1, "kill", os.getpid(), signal.SIGQUIT), half, quarter),
            (Fuse(2, "_exit", self._code), half, quarter),
            *((Fuse(1, "signal", number, _address("quick_exit")), heedless, heedless / 4) for number in ASKING),
        ]

    def _at_breakpoint(self, hook: Callable[..., object]) -> Callable[..., object]:
        def disarmed(*values: object, **names: object) -> object:
            self.disarm()
            return hook(*values, **names)

        return disarmed


def leave(seconds: float, code: int) -> None:
    """End the process so much later, whatever still runs in it, as `kill -9` would but with a code of its own."""
    _Timer("_exit", code).set(max(seconds, 0.001))


def _quick_exit_with_0() -> None:
    """quick_exit(signal), a handler of signals here, first calls what is registered with a NULL: `_exit`."""
    _libc.__cxa_at_quick_exit(_pointer(_address("_exit")), None)  # noqa: SLF001  as the C library names it


def _address(function: str) -> int:
    return ctypes.cast(getattr(_libc, function), _pointer).value or 0


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _debugged() -> bool:
    """Whether somebody steps through this process, in C or in Python."""
    status = Path("/proc/self/status").read_text()
    traced = status.partition("TracerPid:")[2].split(maxsplit=1)[0] != "0"
    return traced or sys.gettrace() is not None or "pydevd" in sys.modules or "debugpy" in sys.modules
