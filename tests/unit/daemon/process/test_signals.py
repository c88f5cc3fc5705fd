"""The bell of the signals that ask, and the standard streams, in processes of their own."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from secondunit.daemon.process.signals import Bell

BEGIN = """
import os, signal, sys, time
from secondunit.daemon.process import signals
bell = signals.stand()
"""
UP = "print('up', flush=True)\n"


def ended(script: str, *numbers: signal.Signals, pause: float = 0.0) -> tuple[int, str]:
    """The exit code of a program that gets these signals once it is up, and what it printed then."""
    # What runs the tests may ignore it, as nohup does, and so would whoever is started.
    heard = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    command = [sys.executable, "-c", heard + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "up\n"
        for number in numbers:
            process.send_signal(number)
            time.sleep(pause)
        try:
            return process.wait(20), process.stdout.read()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_process_that_has_opened_nothing_ends_well_at_once(number: signal.Signals) -> None:
    assert ended(BEGIN + UP + "time.sleep(20)", number) == (0, "")


IDLE = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR]


def test_signals_that_mean_nothing_here_do_nothing_and_children_have_their_defaults() -> None:
    child = "import signal; print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)"
    script = f"import subprocess\ntime.sleep(0.5)\nsubprocess.run([sys.executable, '-c', {child!r}])\n"
    assert ended(BEGIN + UP + script, *IDLE) == (0, "True\n")


def test_what_was_asked_before_the_loop_listens_is_passed_on_to_it() -> None:
    script = "bell.begin()\n" + UP + "while not bell.early: time.sleep(0.01)\nbell.listen(print, print)\n"
    assert ended(BEGIN + script, signal.SIGHUP) == (0, "SIGHUP\n")


def test_a_second_signal_ends_what_has_begun_and_does_not_listen_yet() -> None:
    script = "bell.begin()\n" + UP + "while not bell.early: time.sleep(0.01)\nprint('kept', flush=True)\n"
    again = "os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(20)"
    assert ended(BEGIN + script + again, signal.SIGTERM) == (0, "kept\n")


@pytest.mark.parametrize("stuck", ["time.sleep(60)", "while True: pass", "re.match('(a+)+$', 'a' * 60 + 'b')"])
def test_a_second_signal_ends_a_process_whose_loop_did_not_hear_the_first(stuck: str) -> None:
    listening = f"import re\nbell.begin()\nbell.listen(print, print)\n{UP}"
    assert ended(BEGIN + listening + stuck, signal.SIGTERM, signal.SIGTERM, pause=0.8)[0] == 0


def test_a_hangup_that_is_ignored_already_stays_so() -> None:
    ignoring = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    assert ended(ignoring + BEGIN + UP + "time.sleep(0.5)\nprint('well')", signal.SIGHUP) == (0, "well\n")


def test_signals_that_come_after_the_end_do_nothing() -> None:
    script = "signals.dismiss()\n" + UP + "time.sleep(0.5)\nprint('well')"
    assert ended(BEGIN + script, signal.SIGTERM, signal.SIGINT, signal.SIGHUP) == (0, "well\n")


def test_two_rings_in_a_row_are_both_heard_and_the_second_sees_to_the_end() -> None:
    bell, heard = Bell(), list[str]()
    bell.begin()
    bell.listen(heard.append, lambda: heard.append("insists"))
    bell(signal.SIGTERM, None)
    bell(signal.SIGINT, None)
    assert heard == ["SIGTERM", "insists", "SIGINT"]


@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "0<&-", "0<&- 1>&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_never_the_number_of_another_file(closed: str, tmp_path: Path) -> None:
    script = (
        "import os, sys; from secondunit.daemon.process import signals; signals.streams_open();"
        "found = [os.open(os.devnull, os.O_RDONLY), *map(os.get_inheritable, range(3))];"
        "open(sys.argv[1], 'w').write(repr(found))"
    )
    shell = f'exec "$@" {closed}'
    subprocess.run(["sh", "-c", shell, "sh", sys.executable, "-c", script, str(tmp_path / "found")], check=True)
    assert (tmp_path / "found").read_text() == "[3, True, True, True]"
