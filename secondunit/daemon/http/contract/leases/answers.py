"""Answers to remote workers: leases, renewals, what is on disk, and where a job stands."""

from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta

from secondunit.daemon.formats import instant
from secondunit.daemon.http.contract.responses import Answer, JobId, StatusName, Time
from secondunit.daemon.leasing.artifacts import PREFIX
from secondunit.queue.model import Job, Status
from secondunit.queue.remote.leasing import Granted


class GrantedLease(Answer):
    """A leased job. Nobody else has it until `expires_at`; `steps` are the results that were stored, by their names."""

    token: str
    job_id: JobId
    type: str
    payload: dict[str, Any]
    attempt: Annotated[int, Meta(ge=1)]
    epoch: Annotated[int, Meta(ge=1)]
    expires_at: Time
    steps: dict[str, Any]


class Leases(Answer):
    """What was leased; nothing, after the wait."""

    leases: list[GrantedLease]


class Renewed(Answer):
    """Until when the lease is good now, and whether the job is to be cancelled: then stop, and release it."""

    expires_at: Time
    cancel_requested: bool


class StepStored(Answer):
    """A step whose result is on disk."""

    job_id: JobId
    name: str


class ArtifactStored(Answer):
    """An artefact that is on disk, whole."""

    job_id: JobId
    name: str
    size: Annotated[int, Meta(ge=0)]
    sha256: str


class Settled(Answer):
    """Where the job stands since its run was ended so."""

    job_id: JobId
    status: StatusName


def granted(token: str, one: Granted) -> GrantedLease:
    """A lease as its worker gets it."""
    job = one.job
    steps = {name: result for name, result in one.steps.items() if not name.startswith(PREFIX)}
    until = instant(job.lease.until if job.lease else job.updated_at)
    return GrantedLease(token, job.id, job.type, dict(one.payload), job.attempt, job.epoch, until, steps)


def renewed(job: Job) -> Renewed:
    """A renewal."""
    return Renewed(instant(job.lease.until if job.lease else job.updated_at), job.cancel_requested)


def settled(job_id: str, status: Status) -> Settled:
    """A settled run."""
    return Settled(job_id, status.value)


def leases(found: Iterable[GrantedLease]) -> Leases:
    """An answer."""
    return Leases(list(found))
