"""Names of jobs."""

import base64
from datetime import timedelta
from uuid import UUID

from secondunit.queue.ids import PATTERN, new_job_id
from secondunit.testing.jobs import NOW
from secondunit.testing.rig import SteadyRandom


def uuid(job_id: str) -> UUID:
    return UUID(bytes=base64.b32decode(job_id.removeprefix("job_").upper() + "======"))


class Ones(SteadyRandom):
    def randbytes(self, n: int, /) -> bytes:
        return b"\xff" * n


def test_an_id_is_a_uuid_of_version_7_in_base32() -> None:
    job_id = new_job_id(NOW, Ones())
    assert PATTERN.fullmatch(job_id)
    assert (uuid(job_id).version, uuid(job_id).variant) == (7, "specified in RFC 4122")


def test_an_id_begins_with_the_time_in_milliseconds() -> None:
    moment = NOW + timedelta(milliseconds=123)
    assert uuid(new_job_id(moment, Ones())).int >> 80 == int(moment.timestamp() * 1000)


def test_ids_sort_by_time_when_decoded() -> None:
    ids = [uuid(new_job_id(NOW + timedelta(seconds=n), SteadyRandom())) for n in range(100)]
    assert ids == sorted(ids)


def test_ids_of_one_moment_differ() -> None:
    rng = SteadyRandom()
    assert len({new_job_id(NOW, rng) for _ in range(100)}) == 100


def test_the_pattern_takes_nothing_else() -> None:
    for name in ("job_", "job_" + "a" * 25, "job_" + "A" * 26, "job_" + "1" * 26, "../" + "a" * 26):
        assert not PATTERN.fullmatch(name)
