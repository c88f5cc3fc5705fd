"""W3C Trace Context: which headers count, and what is sent on of one that does."""

import pytest

from secondunit.daemon.trace_context import HEADER, kept, labels, read

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"


def test_a_valid_header_is_kept_as_it_came() -> None:
    assert labels([GIVEN]) == {HEADER: GIVEN}
    found = kept(labels([GIVEN]))
    assert found is not None
    assert (found.trace, found.span, found.sampled) == (int(TRACE, 16), int(SPAN, 16), True)
    assert not labels([]) and kept({}) is None


def test_whether_it_is_recorded_is_its_last_bit_alone() -> None:
    assert labels([f"00-{TRACE}-{SPAN}-02"]) == {HEADER: f"00-{TRACE}-{SPAN}-00"}
    assert labels([f"00-{TRACE}-{SPAN}-ff"]) == {HEADER: GIVEN}


def test_a_later_version_is_read_as_far_as_this_one_goes() -> None:
    assert labels([f"cc-{TRACE}-{SPAN}-01-what-comes-later"]) == {HEADER: GIVEN}
    assert labels([f"cc-{TRACE}-{SPAN}-01"]) == {HEADER: GIVEN}


@pytest.mark.parametrize(
    "values",
    [
        [""],
        ["x"],
        [GIVEN, GIVEN],
        [f"{GIVEN}-more"],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [GIVEN.upper()],
        [f"00-{TRACE}-{SPAN}-1"],
        [f"00-{TRACE[:-1]}-{SPAN}-01"],
        [f" {GIVEN}"],
        [f"{GIVEN}\n"],
        [f"00-{TRACE}-{SPAN}-0١"],
        ["a" * 100_000],
    ],
)
def test_what_is_not_valid_is_as_if_it_had_not_come(values: list[str]) -> None:
    assert read(values) is None and labels(values) == {}
