"""Tokens of leases."""

import pytest

from secondunit.queue.remote.tokens import LeaseTokens

TOKENS = LeaseTokens(bytes(32))


def test_a_token_leads_back_to_its_lease_under_its_own_key() -> None:
    token = TOKENS.issue("job_1", 3, "abcd2345")
    assert TOKENS.read(token, "abcd2345") == ("job_1", 3)
    assert TOKENS.read(token, "abcd2346") is None
    assert TOKENS.read(token, "") is None
    assert LeaseTokens(b"another").read(token, "abcd2345") is None


@pytest.mark.parametrize("there", ["", "lt", "lt.job_1.3", "lt.job_1.3.", "lt.job_1.-3.x", "lt.job_1.3²", "x" * 10_000])
def test_other_texts_are_no_tokens(there: str) -> None:
    assert TOKENS.read(there, "") is None


def test_every_part_is_sealed() -> None:
    token = TOKENS.issue("job_1", 3, "k")
    kind, job, epoch, seal = token.split(".")
    for forged in (f"{kind}.job_2.{epoch}.{seal}", f"{kind}.{job}.4.{seal}", f"xx.{job}.{epoch}.{seal}", f"{token}="):
        assert TOKENS.read(forged, "k") is None
    assert len({TOKENS.issue("job_1", 3, "k k"), TOKENS.issue("job_1", 3, "k"), TOKENS.issue("k job_1", 3, "k")}) == 3
