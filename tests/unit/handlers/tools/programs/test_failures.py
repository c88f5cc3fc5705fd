"""A program's failed end says whether trying again may help, and shows a person its last words."""

import pytest

from secondunit.handlers.tools.programs.failures import failure
from secondunit.handlers.tools.programs.ports import Finished
from secondunit.queue.outcome import Deterministic, Transient


@pytest.mark.parametrize("number", [9, 11])
def test_a_crash_is_worth_one_more_try(number: int) -> None:
    first = failure("ffmpeg", Finished(-number, ""), attempt=1)
    second = failure("ffmpeg", Finished(-number, ""), attempt=2)

    assert isinstance(first, Transient) and isinstance(second, Deterministic)
    assert first.type == second.type == "killed"
    assert {9: "SIGKILL", 11: "SIGSEGV"}[number] in str(first)


def test_being_told_to_stop_is_always_worth_another_try() -> None:
    assert isinstance(failure("ffmpeg", Finished(-15, ""), attempt=9), Transient)


@pytest.mark.parametrize(("number", "type"), [(24, "cpu_limit"), (25, "file_too_large")])
def test_a_limit_that_was_hit_will_be_hit_again(number: int, type: str) -> None:
    failed = failure("ffmpeg", Finished(-number, ""), attempt=1)

    assert isinstance(failed, Deterministic) and failed.type == type


@pytest.mark.parametrize("words", ["av_write: No space left on device", "OSError: [Errno 122] Disk quota exceeded"])
def test_a_full_disk_is_transient(words: str) -> None:
    failed = failure("ffmpeg", Finished(1, f"{words}\nConversion failed!\n"), attempt=5)

    assert isinstance(failed, Transient) and failed.type == "disk_full"


def test_want_of_memory_is_worth_one_more_try() -> None:
    said = Finished(1, "Cannot allocate memory\n")

    assert isinstance(failure("ffmpeg", said, attempt=1), Transient)
    assert isinstance(failure("ffmpeg", said, attempt=2), Deterministic)


def test_a_file_that_grew_past_its_limit_will_do_so_again() -> None:
    failed = failure("the image converter", Finished(1, "OSError: [Errno 27] File too large\n"), attempt=1)

    assert isinstance(failed, Deterministic) and failed.type == "file_too_large"


def test_the_message_holds_the_last_lines_in_bounds() -> None:
    failed = failure("tool", Finished(1, "first\n\nlast but two\nlast but one \n" + "x" * 5000), attempt=1)

    assert "first" not in str(failed) and len(str(failed)) < 700 and str(failed).startswith("tool failed: ")
    assert "exit code 7" in str(failure("tool", Finished(7, ""), attempt=1))
    assert "one | two" in str(failure("tool", Finished(1, "one\ntwo\n"), attempt=1))


def test_a_real_time_signal_has_a_name_too() -> None:
    assert "signal 40" in str(failure("tool", Finished(-40, ""), attempt=1))
