"""Statements that write many rows: what they say of a job that is moved more than once, and of odd values."""

import json

import psycopg
import pytest

from secondunit.queue.stores.postgres.grouped import Groups, inserted


def test_jobs_that_change_alike_are_one_statement_and_the_last_word_counts() -> None:
    groups = Groups()
    for seq in (1, 2, 3):
        groups.move(seq, {"status": "running", "epoch": seq})
    groups.move(2, {"epoch": 9})
    groups.move(4, {"progress": 0.5})
    [(many, (rows, seqs)), (one, values)] = groups.taken()
    assert [(row["seq"], row["epoch"]) for row in json.loads(rows)] == [(1, 1), (2, 9), (3, 3)] and seqs == [1, 2, 3]
    assert "epoch = moved.epoch" in many and one == "update jobs set progress = %s where seq = %s"
    assert tuple(values) == (0.5, 4) and groups.taken() == []


def test_a_lease_that_was_given_and_taken_back_is_freed() -> None:
    groups = Groups()
    groups.lease(1, (1, 1, "a/1", 30))
    groups.lease(2, (2, 1, "a/1", 30))
    groups.lease(1, None)
    [(_, leased), (freed, seqs)] = groups.taken()
    assert [*leased] == [[2], [1], ["a/1"], [30]] and freed.startswith("delete from leases") and seqs == ([1],)


def test_bytes_are_hexadecimal_and_no_text_has_a_nul() -> None:
    _, [rows] = inserted("jobs", [{"digest": b"\x01\xff", "message": "a\0b"}, {"digest": None, "message": "\\u0000"}])
    told = json.loads(rows)
    assert told == [{"digest": "\\x01ff", "message": "a\ufffdb"}, {"digest": None, "message": "\\u0000"}]


def test_what_can_not_be_written_is_an_error_of_the_statement() -> None:
    with pytest.raises(psycopg.ProgrammingError, match="can't be sent"):
        inserted("jobs", [{"message": "\ud800"}, {"message": "x"}])
