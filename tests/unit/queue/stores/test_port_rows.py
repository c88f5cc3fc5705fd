"""What is kept beside jobs comes back from its row as the value that it was; a delivery's id is its end's alone."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.model import Batch, Idempotency, Job, Notice, Status
from secondunit.queue.ports.access import AccessKey, AuditEntry
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.stores.port_rows import (
    access_key_from,
    access_key_values,
    audit_entry_from,
    audit_values,
    batch_from,
    batch_values,
    box_from,
    box_values,
    folder_from,
    folder_values,
    held_from,
    key_values,
    new_delivery_values,
    replaced_from,
    replaced_values,
    schedule_from,
    schedule_values,
    standing,
)
from secondunit.queue.stores.rows import load_notice, micros
from secondunit.queue.value import replace
from secondunit.testing.full_values import full, left_out
from secondunit.testing.jobs import NOW, later

KEY = full(AccessKey)
NOTICE = full(Notice, epoch=3, at=NOW)


@pytest.mark.parametrize("key", [KEY, replace(KEY, types=None, expires_at=None, last_used_at=None, revoked_at=None)])
def test_an_access_key_comes_back_from_its_row(key: AccessKey) -> None:
    assert access_key_from(access_key_values(key)) == key


def test_an_audit_entry_comes_back_from_its_row_with_its_number() -> None:
    entry = full(AuditEntry)
    assert left_out(entry) == set()
    assert audit_entry_from((*audit_values(entry), entry.seq)) == entry


def test_a_schedules_state_comes_back_from_its_row() -> None:
    state = full(ScheduleState)
    assert left_out(state) == set()
    assert schedule_from(schedule_values(state)) == state


def test_a_box_comes_back_from_its_row() -> None:
    box = full(BoxRow)
    assert left_out(box) == set()
    assert box_from(box_values(box)) == box


def test_counts_by_boot_and_type_are_told_by_boot() -> None:
    rows = [("a/1", "hls", 2), ("b/1", "hls", 1), ("a/1", "webp", 3)]
    assert held_from(rows) == {"a/1": {"hls": 2, "webp": 3}, "b/1": {"hls": 1}}


@pytest.mark.parametrize("batch", [full(Batch), full(Batch, target=None, owner=None, finished_at=None)])
def test_a_batch_comes_back_from_its_row(batch: Batch) -> None:
    assert batch_from(batch_values(batch)) == batch
    assert standing([("failed", 2), ("queued", 1)]) == {Status.FAILED: 2, Status.QUEUED: 1}


def test_folders_and_what_they_replaced_come_back_from_their_rows() -> None:
    folder, replaced = full(PublishedFolder), full(Replaced)
    path, made, *rest = folder_values(folder)
    inode, *others = rest
    assert folder_from((path, inode, made, *others)) == folder
    assert replaced_from(replaced_values(replaced)) == replaced


def test_an_idempotency_key_stands_for_a_day() -> None:
    job: Any = full(Job, id="job_a", created_at=NOW)
    assert key_values(job, Idempotency("k", b"d")) == ("k", "job_a", b"d", micros(NOW + timedelta(hours=24)))


def test_a_new_delivery_is_due_at_once_and_each_end_of_a_job_has_an_id_of_its_own() -> None:
    id, seq, kind, address, notice, made_at, next_at = new_delivery_values(7, "job_a", NOTICE)
    assert (seq, kind, address) == (7, NOTICE.target.kind, NOTICE.target.address)
    assert load_notice(notice) == NOTICE
    assert made_at == next_at == micros(NOW)
    assert id.startswith("msg_a_") and id == new_delivery_values(8, "job_a", NOTICE)[0]
    others = [replace(NOTICE, epoch=4), replace(NOTICE, at=later(1))]
    assert len({id, *(new_delivery_values(7, "job_a", other)[0] for other in others)}) == 3
