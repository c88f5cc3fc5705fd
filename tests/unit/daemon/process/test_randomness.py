"""The daemon's chance."""

from secondunit.daemon.process.randomness import STOCK, StockedRandom


def test_no_byte_is_given_out_twice_and_all_wishes_are_met_in_full() -> None:
    random = StockedRandom()
    drawn = [random.randbytes(16) for _ in range(STOCK // 8)]
    assert len(set(drawn)) == len(drawn) and {len(each) for each in drawn} == {16}
    assert len(random.randbytes(STOCK * 2)) == STOCK * 2
