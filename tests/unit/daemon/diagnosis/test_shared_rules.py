"""Digests of settings that boxes of one queue should have alike: equal for equal values, and of no use to a reader."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from secondunit.daemon.diagnosis.shared_rules import digests
from tests.unit.daemon.config.loading import file, loaded

SECRET = b"s" * 32
KEY = "one-key-that-is-long-enough-to-sign"
DIFFERENT = [
    ("RETENTION_HOURS", "12"),
    ("RETENTION_FAILED_HOURS", "12"),
    ("CALLBACK_SECRET", "another-key-that-is-long-enough"),
    ("MAX_QUEUED_JOBS", "12"),
    ("MEDIA_BUCKETS", "films/all"),
]


def found(**environ: str) -> Mapping[str, str]:
    return digests(loaded(**environ).settings, SECRET)


@pytest.mark.parametrize(("name", "value"), DIFFERENT)
def test_another_value_has_another_digest_and_nothing_else_has(name: str, value: str) -> None:
    one, other = found(CALLBACK_SECRET=KEY), found(**{"CALLBACK_SECRET": KEY, name: value})
    assert {key for key in one if one[key] != other[key]} == {name}


def test_what_is_a_boxs_own_counts_for_nothing() -> None:
    assert found() == found(PORT="9000", BOX="b", MAX_CONCURRENT_JOBS="2", DATA_DIR="/var/elsewhere")


def test_a_limit_over_all_and_a_schedule_of_a_file_count(tmp_path: Path) -> None:
    schedule = '[[schedule]]\nname = "n"\ncron = "0 3 * * *"\njob = { type = "hls", payload = { inputPath = "/a" } }\n'
    limited, scheduled = found(GLOBAL_CONCURRENCY_HLS="3"), found(**file(tmp_path, schedule))
    plain = found()
    assert limited["GLOBAL_CONCURRENCY"] != plain["GLOBAL_CONCURRENCY"]
    assert scheduled["SCHEDULE"] != plain["SCHEDULE"]


def test_nobody_reads_a_secret_by_its_digest() -> None:
    settings = loaded(CALLBACK_SECRET=KEY).settings
    one, other = digests(settings, SECRET), digests(settings, b"t" * 32)
    assert one["CALLBACK_SECRET"] != other["CALLBACK_SECRET"]
    assert KEY not in str(one)
