"""Troubles of buckets: remembered until the bucket can be used so again, or for an hour."""

from secondunit.daemon.monitoring.bucket_troubles import MOST, REMEMBERED, BucketTroubles
from secondunit.handlers.tools.storage.s3.client import BucketAsked
from secondunit.testing.clock import ManualClock

FULL = BucketAsked("films", wrote=True, trouble="it is full", passing=True)


def test_a_full_bucket_that_can_be_read_is_full_until_it_was_written() -> None:
    troubles = BucketTroubles(ManualClock())
    troubles(FULL)
    troubles(BucketAsked("films", wrote=False))
    troubles(BucketAsked("others", wrote=True))
    assert [(name, found.text) for name, found in troubles.recent().items()] == [("films", "it is full")]
    troubles(BucketAsked("films", wrote=True))
    assert not troubles.recent()


def test_what_keeps_it_from_being_written_is_told_first() -> None:
    troubles = BucketTroubles(ManualClock())
    troubles(FULL)
    troubles(BucketAsked("films", wrote=False, trouble="it does not answer"))
    assert [found.text for found in troubles.recent().values()] == ["it is full"]


async def test_one_that_nobody_uses_any_more_is_forgotten() -> None:
    clock = ManualClock()
    troubles = BucketTroubles(clock)
    troubles(FULL)
    await clock.advance(REMEMBERED.total_seconds() - 1)
    assert troubles.recent()
    await clock.advance(1)
    assert not troubles.recent()


def test_there_is_a_bound() -> None:
    troubles = BucketTroubles(ManualClock())
    for number in range(MOST + 10):
        troubles(BucketAsked(f"bucket-{number}", wrote=True, trouble="no"))
    assert len(troubles.recent()) == MOST
