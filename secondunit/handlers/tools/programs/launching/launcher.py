"""Launcher, the program: `launcher.py LIFELINE KEEP LIMITS ORDERS CWD ARGV...`, run by `python -I -S` for each program.

ORDERS is a descriptor of how to confine the program (`sandbox/orders.py`), or -1. Only this file is compiled at each
start; the code of its neighbours is cached.
"""

import marshal
import os
import sys

sys.path.append(os.path.dirname(__file__))

from supervisor import main  # type: ignore[import-not-found]  # a neighbour, by the path above


def numbers(text: str) -> list[int | None]:
    """`4,-,6` as numbers, `-` as None."""
    return [None if part == "-" else int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    _, pipe, keep, limits, orders, cwd, *argv = sys.argv
    confinement = marshal.loads(os.pread(int(orders), 1 << 20, 0)) if orders != "-1" else {}
    main(int(pipe), numbers(keep), numbers(limits), confinement, cwd, argv)
    os._exit(0)
