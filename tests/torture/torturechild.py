"""A program that leaves a stubborn child and an escaped one behind: `torturechild.py SECONDS`."""

import os
import signal
import sys
import time

LONG = 600


def main() -> None:
    """Start both, work for a while, and go without looking after them."""
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(LONG)
        os._exit(0)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(LONG)
        os._exit(0)
    time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    main()
