"""Threads and programs that nobody looks after."""

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from subprocess import PIPE, Popen, run

from secondunit.daemon.process.bystanders import programs, strays


@contextmanager
def thread(name: str, *, daemon: bool = False) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name=name, daemon=daemon)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_threads_are_strays_unless_they_hold_up_nothing_or_are_of_the_pool() -> None:
    before = strays()
    with thread("mine"), thread("theirs", daemon=True), ThreadPoolExecutor(1, "pool") as pool:
        pool.submit(int).result()
        assert [one for one in strays() if one not in before] == ["thread mine"]
    assert list(strays()) == list(before)


def test_programs_are_strays_unless_they_were_launched_or_have_ended() -> None:
    sleep = ["sleep", "100"]
    ended, launched, stray = Popen(["true"]), Popen(sleep, start_new_session=True), Popen(sleep)
    try:
        assert ended.wait() == 0
        assert {ended.pid, launched.pid, stray.pid} & set(programs()) == {stray.pid}
        assert f"process {stray.pid} (sleep)" in strays()
    finally:
        for one in (launched, stray):
            one.kill()
            one.wait()


def test_an_ended_program_that_nobody_asked_for_is_no_stray() -> None:
    with Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # a zombie: nobody has asked how it ended
        assert ended.pid not in set(programs())


def test_programs_that_are_left_are_killed_at_the_end() -> None:
    script = """
from subprocess import Popen
from secondunit.daemon.process.bystanders import end_programs
stray = Popen(["sleep", "100"])
try:
    print(stray.pid, *end_programs(), stray.wait(10), sep="\\n")
finally:
    stray.kill()
"""
    # In a process of its own: among our programs may be the servers that other tests share.
    ended = run([sys.executable, "-c", script], stdout=PIPE, text=True, check=True, timeout=60)
    pid, *left, how = ended.stdout.splitlines()
    assert (left, how) == ([f"process {pid} (sleep)"], "-9")
