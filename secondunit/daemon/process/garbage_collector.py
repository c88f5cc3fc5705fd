"""Garbage-collector and malloc tuning, for a process that makes little garbage in cycles and must stay small."""

import ctypes
import gc

MMAP_THRESHOLD, ARENA_MAX = -3, -8  # mallopt(3)
SEPARATE, ARENAS = 256 * 1024, 2
YOUNG, MIDDLE, OLD = 20_000, 20, 20


def settle() -> None:
    """What is there now stays for the process's life: no collection looks at it again, and collections come seldom.

    Measured with 64 connections that submit: 8 % less CPU, and a p99 of 47 ms in place of 96.
    """
    gc.collect()
    gc.freeze()
    gc.enable()  # off since the process began (foreground.py)
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def spare_memory() -> None:
    """Let large blocks go back to the system as they are freed, and threads share two heaps; before any is started."""
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_THRESHOLD, SEPARATE)  # set, it no longer grows to 32 MiB with what was freed
    libc.mallopt(ARENA_MAX, ARENAS)


def give_back() -> None:
    """What was freed goes back to the system."""
    ctypes.CDLL(None).malloc_trim(0)
