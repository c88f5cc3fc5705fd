"""Row mapping of what is kept beside jobs: keys, audit trail, schedules, batches, boxes, cache, folders, deliveries."""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from secondunit.queue.model import Batch, Idempotency, Job, Notice, Status, Target
from secondunit.queue.payloads.json_text import dump, load
from secondunit.queue.ports.access import AccessKey, AuditEntry
from secondunit.queue.ports.boxes import BoxRow
from secondunit.queue.ports.cache import CacheEntry
from secondunit.queue.ports.duties import Duty
from secondunit.queue.ports.folders import PublishedFolder, Replaced
from secondunit.queue.ports.pruning import KEY_LIFE
from secondunit.queue.ports.schedules import ScheduleState
from secondunit.queue.stores.columns import Column, Part, Row, decoder, encoder, names
from secondunit.queue.stores.rows import (
    BOOL,
    JSON,
    JSON_OR_NONE,
    SPAN,
    STATUSES,
    TIME,
    TIME_OR_NONE,
    dump_notice,
    micros,
    moment,
)

ACCESS_KEY = (
    Column("prefix"),
    Column("digest"),
    Column("name"),
    Column("scopes", JSON),
    Column("types", JSON_OR_NONE),
    Column("rate"),
    Column("created_at", TIME),
    Column("expires_at", TIME_OR_NONE),
    Column("last_used_at", TIME_OR_NONE),
    Column("revoked_at", TIME_OR_NONE),
)
ACCESS_KEY_COLUMNS = ", ".join(names(ACCESS_KEY))
access_key_values: Callable[[AccessKey], Row] = encoder(ACCESS_KEY)
access_key_from: Callable[[Row], AccessKey] = decoder(AccessKey, ACCESS_KEY)

AUDIT = (
    Column("at", TIME),
    Column("key"),
    Column("address"),
    Column("action"),
    Column("target"),
    Column("detail"),
)
AUDIT_COLUMNS = ", ".join(names(AUDIT))
audit_values: Callable[[AuditEntry], Row] = encoder(AUDIT)
audit_entry_from: Callable[[Row], AuditEntry] = decoder(AuditEntry, (*AUDIT, Column("seq")))

SCHEDULE = (
    Column("name"),
    Column("cron"),
    Column("timezone"),
    Column("since", TIME),
    Column("last_at", TIME_OR_NONE),
    Column("last_job"),
    Column("last_status"),
    Column("paused", BOOL),
    Column("why"),
    Column("failures"),
    Column("open_jobs", JSON),
    Column("revision"),
)
SCHEDULE_COLUMNS = ", ".join(names(SCHEDULE))
schedule_values: Callable[[ScheduleState], Row] = encoder(SCHEDULE)
schedule_from: Callable[[Row], ScheduleState] = decoder(ScheduleState, SCHEDULE)

BATCH = (
    Column("id"),
    Column("name"),
    Column("target_kind", of="target?.kind"),
    Column("target_address", of="target?.address"),
    Column("owner"),
    Column("total"),
    Column("created_at", TIME),
    Column("finished_at", TIME_OR_NONE),
)
BATCH_COLUMNS = ", ".join(names(BATCH))
batch_values: Callable[[Batch], Row] = encoder(BATCH)
batch_from: Callable[[Row], Batch] = decoder(Batch, BATCH, [Part("target", Target, "target_kind target_address")])

DUTY = (Column("name"), Column("term"), Column("boot"), Column("until", TIME))
DUTY_COLUMNS = ", ".join(names(DUTY))
duty_values: Callable[[Duty], Row] = encoder(DUTY)
duty_from: Callable[[Row], Duty] = decoder(Duty, DUTY)


BOX = (
    Column("name"),
    Column("boot"),
    Column("address"),
    Column("version"),
    Column("limits", JSON),
    Column("most"),
    Column("lease", SPAN),
    Column("seen_at", TIME),
    Column("phase"),
    Column("drained", BOOL),
    Column("remote", JSON),
    Column("rules", JSON),
)
BOX_COLUMNS = ", ".join(names(BOX))
box_values: Callable[[BoxRow], Row] = encoder(BOX)
box_from: Callable[[Row], BoxRow] = decoder(BoxRow, BOX)


CACHE = (
    Column("key"),
    Column("value", JSON),
    Column("job_id"),
    Column("made_at", TIME),
    Column("expires_at", TIME),
)
CACHE_COLUMNS = ", ".join(names(CACHE))
cache_values: Callable[[CacheEntry], Row] = encoder(CACHE)
cache_entry_from: Callable[[Row], CacheEntry] = decoder(CacheEntry, CACHE)


def held_from(rows: Iterable[tuple[str, str, int]]) -> Mapping[str, Mapping[str, int]]:
    """How many jobs of which type each boot has leased."""
    held: dict[str, dict[str, int]] = {}
    for boot, type, n in rows:
        held.setdefault(boot, {})[type] = n
    return held


def standing(rows: Iterable[tuple[str, int]]) -> Mapping[Status, int]:
    """How many jobs of a batch have which status."""
    return {STATUSES[status]: n for status, n in rows}


def folder_values(folder: PublishedFolder) -> Row:
    """Path, time of the manifest, inode, job, epoch and time."""
    return folder.path, micros(folder.manifest_at), folder.inode, folder.job_id, folder.epoch, micros(folder.at)


def folder_from(row: Row) -> PublishedFolder:
    """Of path, inode, time of the manifest, job, epoch and time."""
    path, inode, made, job_id, epoch, at = row
    return PublishedFolder(path, int(inode), moment(made), job_id, epoch, moment(at))


def replaced_values(replaced: Replaced) -> Row:
    """Path, part, files and time."""
    return replaced.path, replaced.part, dump(list(replaced.files)), micros(replaced.at)


def replaced_from(row: Row) -> Replaced:
    """What `replaced_values` made."""
    path, part, files, at = row
    return Replaced(path, part, load(files), moment(at))


def key_values(job: Job, key: Idempotency) -> tuple[Any, ...]:
    """An idempotency key: the key, its job, what it was used for, and until when it stands."""
    return key.key, job.id, key.digest, micros(job.created_at + KEY_LIFE)


def new_delivery_values(seq: int, of: str, notice: Notice) -> tuple[Any, ...]:
    """A delivery's id, job (by number), kind, address, notice, and when it was made and is due; `of` is what ended."""
    at = micros(notice.at)
    return _delivery_id(of, notice), seq, notice.target.kind, notice.target.address, dump_notice(notice), at, at


def _delivery_id(of: str, notice: Notice) -> str:
    tail = base64.b32encode(f"{notice.epoch}.{micros(notice.at)}".encode()).decode().rstrip("=").lower()
    return f"msg_{of.removeprefix('job_')}_{tail}"
