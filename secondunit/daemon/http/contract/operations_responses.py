"""Response models of what operators ask: stuck jobs, whether a restart is safe, backups."""

from secondunit.daemon.http.contract.responses import Answer, JobId, Percent, Time


class StuckJob(Answer):
    """A running job that does not move, or whose lease ran out."""

    job_id: JobId
    epoch: int
    type: str
    source: str
    source_id: str | None
    attempt: int
    phase: str | None
    message: str | None
    updated_at: Time
    stuck_seconds: int
    lease_until: Time | None


class Stuck(Answer):
    """Running jobs that do not move, those that moved longest ago first."""

    jobs: list[StuckJob]


class UnderWay(Answer):
    """A running job. `remaining_seconds` is a guess from its progress so far; `paid_steps` wait for a paid answer."""

    job_id: JobId
    type: str
    progress: Percent
    phase: str | None
    elapsed_seconds: int
    remaining_seconds: int | None
    paid_steps: list[str]


class Check(Answer):
    """Whether a restart would interrupt nothing, and for how many seconds it would; null where that can't be told."""

    safe: bool
    running: list[UnderWay]
    seconds: int | None


class Backup(Answer):
    """A copy of the database."""

    path: str
    bytes: int
    jobs: int
