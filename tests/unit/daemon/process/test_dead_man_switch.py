"""The dead man's switch, in processes whose loop stands still in every way there is."""

import signal
import subprocess
import sys
import time

import pytest

from secondunit.daemon.process.exit_codes import LOOP_DIED

BEGIN = """
import collections, ctypes, itertools, os, re, signal, sys, threading, time
from secondunit.daemon.process.dead_man_switch import DeadManSwitch, leave
print("begun", flush=True)
revived = []
"""
ARMED = BEGIN + "switch = DeadManSwitch(SECONDS, 70, 2, lambda: revived.append(1))\n"
EVIL = 're.match("(a+)+$", "a" * 60 + "b")'
STUCK = {
    "a pattern that backtracks": EVIL,
    "one in a thread, which has the GIL": f"threading.Thread(target=lambda: {EVIL}).start()\nthreading.Event().wait()",
    "C that holds the GIL and computes": "collections.deque(itertools.repeat(0), 0)",
    "C that holds the GIL and sleeps": "lib = ctypes.PyDLL(None)\nwhile True: lib.usleep(ctypes.c_uint(10**8))",
    "a call that blocks": "time.sleep(60)",
    "Python that goes round": "while True: pass",
}


class Process:
    """A Python program that has begun, as its first line says."""

    def __init__(self, script: str, seconds: float = 0.8) -> None:
        command = [sys.executable, "-c", script.replace("SECONDS", str(seconds))]
        # Unbuffered: what a buffered line read beyond its end would be lost to `communicate`.
        self._process = subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self) -> "Process":
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"begun\n":
            raise AssertionError(self._process.communicate()[1].decode())
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def send(self, *numbers: signal.Signals, after: float = 0.0) -> None:
        time.sleep(after)
        for number in numbers:
            self._process.send_signal(number)

    def ended(self) -> tuple[int, str, str]:
        """Its exit code, and what it printed to both."""
        out, err = self._process.communicate(timeout=20)
        return self._process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("how", STUCK)
def test_however_a_loop_stands_still_the_process_ends_with_the_code_and_a_traceback(how: str) -> None:
    with Process(ARMED + STUCK[how]) as process:
        code, _, err = process.ended()
    assert code == LOOP_DIED
    assert "most recent call first" in err and "<string>" in err


@pytest.mark.slow
@pytest.mark.parametrize("how", STUCK)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_process_that_has_long_stood_still(how: str, number: signal.Signals) -> None:
    heedless = "for number in (1, 2, 15): signal.signal(number, lambda *_: None)\n"
    with Process(ARMED + heedless + STUCK[how], 3) as process:
        process.send(number, after=2.2)
        assert process.ended()[0] == 0


def test_one_that_beats_goes_on() -> None:
    beating = "for _ in range(40): switch.beat(); time.sleep(0.05)\nprint('well')"
    with Process(ARMED + beating) as process:
        assert process.ended() == (0, "well\n", "")


@pytest.mark.slow
def test_a_pause_of_the_process_is_no_standing_still() -> None:
    beating = "for _ in range(60): switch.beat(); time.sleep(0.05)\nprint('well', len(revived))"
    with Process(ARMED + beating, 2.0) as process:
        for pause in (4.0, 1.5, 1.5):  # more than one: the beat may be there before the tick
            process.send(signal.SIGSTOP, after=0.3)
            process.send(signal.SIGCONT, after=pause)
        assert process.ended()[:2] == (0, "well 3\n")


@pytest.mark.slow
def test_a_loop_that_comes_late_again_and_again_goes_on_and_is_watched_as_before() -> None:
    late = "for _ in range(8): switch.beat(); time.sleep(0.5)\nprint(len(revived), flush=True)\ntime.sleep(60)"
    with Process(ARMED + late) as process:
        assert process.ended()[:2] == (LOOP_DIED, "7\n")


@pytest.mark.parametrize(
    ("seconds", "before"),
    [(0.0, ""), (0.4, "sys.settrace(lambda *_: None)"), (0.4, "sys.modules['pydevd'] = sys")],
)
def test_it_is_off_at_zero_and_under_a_debugger(seconds: float, before: str) -> None:
    script = BEGIN + before + "\nswitch = DeadManSwitch(SECONDS, 70, 2, print)\nsys.settrace(None)\n"
    with Process(script + "time.sleep(1.2)\nswitch.beat()\nprint('well', switch.armed)", seconds) as process:
        assert process.ended()[:2] == (0, "well False\n")


def test_it_lets_go_at_a_breakpoint() -> None:
    script = BEGIN + "sys.breakpointhook = lambda: time.sleep(1.2)\nswitch = DeadManSwitch(SECONDS, 70, 2, print)\n"
    with Process(script + "breakpoint()\nprint('well')", 0.4) as process:
        assert process.ended()[:2] == (0, "well\n")


def test_leaving_ends_the_process_with_its_code_whatever_runs() -> None:
    with Process(BEGIN + "leave(0.2, 74)\n" + STUCK["C that holds the GIL and computes"]) as process:
        assert process.ended()[0] == 74


def test_many_signals_at_once_do_not_overrun_the_stack_of_their_handlers() -> None:
    """As they come to a process that was stopped, or did not get the CPU: each handler interrupts the one before."""
    idle = [signal.Signals(number) for number in (10, 12, 14, 26, 27, 29, 30)]
    heedless = "for number in (10, 12, 14, 26, 27, 29, 30): signal.signal(number, lambda *_: None)\n"
    beating = "for _ in range(20): switch.beat(); time.sleep(0.05)\nprint('well')"
    with Process(ARMED.replace('print("begun"', heedless + 'print("begun"') + beating, 20) as process:
        time.sleep(0.3)
        process.send(signal.SIGSTOP, *idle, signal.SIGCONT)
        assert process.ended() == (0, "well\n", "")


def test_sigquit_tells_what_every_thread_does_and_changes_nothing() -> None:
    script = ARMED + "threading.Thread(target=time.sleep, args=(1.5,)).start()\nprint('up', flush=True)\n"
    with Process(script + "for _ in range(20): switch.beat(); time.sleep(0.05)\nprint('well')", 2.0) as process:
        process.send(signal.SIGQUIT, after=0.4)
        code, out, err = process.ended()
    assert (code, out) == (0, "up\nwell\n") and err.count("most recent call first") == 2
