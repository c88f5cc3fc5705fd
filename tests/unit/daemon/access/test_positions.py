"""Numbers that count everybody's jobs, as one key's holder sees them."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from secondunit.daemon.access.positions import Positions

SECRET = b"of this database".ljust(32)
A, PLAIN = Positions(SECRET, "A", "jobs"), Positions(SECRET, None, "jobs")
numbers, nonces = st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1)


@given(numbers, nonces)
def test_what_was_shown_can_be_read(number: int, nonce: int) -> None:
    shown = A.shown(number, nonce)
    assert shown.isascii() and shown.isdigit() and len(shown) <= 39
    assert A.read(shown) == A.read(shown, nonce=nonce) == number
    assert A.read(shown, nonce=nonce ^ 1) is None


def test_neighbours_have_nothing_in_common_and_are_each_their_own() -> None:
    shown = [int(A.shown(number)) for number in range(2000)]
    assert len({*shown}) == 2000
    changed = sum((one ^ other).bit_count() for one, other in pairwise(shown)) / 1999
    assert 62 < changed < 66, "half of 128 bits, as of numbers drawn by lot"
    assert sorted(shown) != shown and 0.4 < sum(a < b for a, b in pairwise(shown)) / 1999 < 0.6


def test_one_number_with_another_nonce_is_not_known_again() -> None:
    assert len({A.shown(7, nonce) for nonce in range(100)}) == 100


def test_another_key_another_kind_and_another_database_see_other_numbers() -> None:
    others = [Positions(SECRET, "B", "jobs"), Positions(SECRET, "A", "events"), Positions(bytes(32), "A", "jobs")]
    for other in others:
        assert other.shown(7) != A.shown(7)
        assert other.read(A.shown(7), nonce=0) is None


def test_who_sees_all_sees_the_numbers_themselves() -> None:
    assert PLAIN.shown(7) == PLAIN.shown(7, 9) == "7"
    assert [PLAIN.read(text) for text in ("7", "0", "9" * 18, "9" * 19)] == [7, 0, 10**18 - 1, None]


def test_what_is_no_number_stands_for_none() -> None:
    for text in ("", "-1", "+1", " 1", "1_0", "\u0665", "\uff15", "\u00b2", "x", "1.0", "9" * 40, "9" * 5000):
        assert A.read(text) is None and PLAIN.read(text) is None
    assert A.read("9" * 39) is None, "more than 128 bits"
