"""Request models: bodies and queries under their names in JSON, and what they mean to the queue."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel

from secondunit.daemon.access.callers import Caller
from secondunit.daemon.access.positions import Positions
from secondunit.daemon.http.contract.responses import StatusName
from secondunit.daemon.http.written_values import Digits, Instant, words
from secondunit.handlers.tools.network.addresses import AddressRule, check_url
from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.graph.binding import MOST_PARENTS
from secondunit.queue.handler import Registry
from secondunit.queue.model import (
    HIGHEST_PRIORITY,
    LOWEST_PRIORITY,
    BatchId,
    Bonds,
    Idempotency,
    OnParentFailure,
    Submission,
    Target,
)
from secondunit.queue.payloads.field_faults import faults_of
from secondunit.queue.retry import RetryPolicy
from secondunit.queue.sight.query import LONGEST_QUERY

M = TypeVar("M", bound=BaseModel)
LARGEST_BATCH = 1000
LONGEST_TIMEOUT = 7 * 24 * 3600


TypeName = Annotated[str, Field(min_length=1, max_length=100)]
Id = Annotated[str, Field(min_length=1, max_length=100)]
Ids = Annotated[list[Id], Field(max_length=LARGEST_BATCH)]


class Ask(BaseModel):
    """A strict model: no unknown field, no conversion; names in camelCase. Built at its first use, not at the start."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True, defer_build=True)


def some_of(**fields: Mapping[str, Any]) -> dict[str, Any]:
    """That at least one of these fields is there and like this, as JSON Schema says it; a validator says it again."""
    return {"anyOf": [{"required": [name], "properties": {name: shape}} for name, shape in fields.items()]}


class RetryAsk(Ask):
    """When a failed attempt is tried again; what is left out comes from the job's type."""

    max_retries: int | None = Field(None, ge=0, le=100, description="so many more attempts after the first")
    backoff: Literal["exponential", "fixed"] | None = Field(None, description="whether each pause is twice the last")
    initial_delay: int | None = Field(None, ge=0, le=6 * 3600 * 1000, description="milliseconds to the second attempt")


class SubmitAsk(Ask):
    """A job to be done."""

    type: TypeName
    payload: dict[str, Any]
    priority: int | None = Field(None, ge=HIGHEST_PRIORITY, le=LOWEST_PRIORITY, description="0 is first")
    callback: str | None = Field(None, description="an http(s) URL that is told of the job's end")
    retry_policy: RetryAsk | None = Field(None, description="when a failed attempt is tried again")
    run_at: Instant | None = Field(None, description="not before this time")
    timeout_seconds: float | None = Field(None, gt=0, le=LONGEST_TIMEOUT, description="limit of one attempt")
    depends_on: list[Id] | None = Field(
        None, max_length=MOST_PARENTS, description="ids of jobs that must have ended before it starts"
    )
    on_parent_failure: OnParentFailure | None = Field(
        None, description="what it does when one of these ends without success; fail"
    )


class BatchJobAsk(SubmitAsk):
    """A job of a batch; its `dependsOn` may also name others by their `ref`."""

    ref: str | None = Field(None, pattern=r"^[A-Za-z0-9_.:-]{1,100}$", description="its name within the batch")


class BatchAsk(Ask):
    """Jobs to be done, all or none of them accepted; `callback` is told once, when the last of them has ended."""

    jobs: list[BatchJobAsk] = Field(min_length=1, max_length=LARGEST_BATCH)
    callback: str | None = Field(None, description="an http(s) URL that is told of the batch's end")
    name: str | None = Field(None, min_length=1, max_length=200, description="for people")


class UploadAsk(BaseModel):
    """A form with a video."""

    model_config = ConfigDict(extra="forbid")

    video: Annotated[bytes, WithJsonSchema({"type": "string", "contentMediaType": "video/*"})]
    language: str | None = Field(None, description="the recipe's language; else the video's")


class UrlAsk(BaseModel):
    """A form, or JSON, with a video's address."""

    model_config = ConfigDict(extra="forbid")

    video_url: str
    language: str | None = Field(None, description="the recipe's language; else the video's")


QUERY = "words and `key:value` (type status class error key by since until path url); `-` negates, quotes hold spaces"
Query = Annotated[str, Field(max_length=LONGEST_QUERY, description=QUERY)]


class FilterAsk(Ask):
    """Which jobs are meant: those that fit every field given; `status` and `type` may be one word or several."""

    model_config = ConfigDict(
        json_schema_extra=some_of(status={"minItems": 1}, type={"minItems": 1}, ids={"minItems": 1}, q={"minLength": 1})
    )

    status: Annotated[list[StatusName], BeforeValidator(words, StatusName | list[StatusName])] = []
    type: Annotated[list[TypeName], BeforeValidator(words, TypeName | list[TypeName])] = []
    ids: Ids = []
    q: Query | None = None


class BulkAsk(Ask):
    """A move for many jobs."""

    filter: FilterAsk


class RunAsk(Ask):
    """One run of a job, as the list of stuck ones names it."""

    job_id: Id
    epoch: int = Field(ge=0)


class RecoverAsk(Ask):
    """Running jobs to be taken from their runs: `jobs` from those very runs, `ids` from whichever there is."""

    model_config = ConfigDict(json_schema_extra=some_of(ids={"type": "array"}, jobs={"type": "array"}))

    ids: Annotated[Ids, Field(min_length=1)] | None = None
    jobs: Annotated[list[RunAsk], Field(min_length=1, max_length=LARGEST_BATCH)] | None = None

    def runs(self) -> Iterator[tuple[str, int | None]]:
        """Each job, and the epoch of the run that is meant if it was said."""
        yield from ((id, None) for id in self.ids or ())
        yield from ((run.job_id, run.epoch) for run in self.jobs or ())

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.ids is None and self.jobs is None:
            raise ValueError("name at least 1 job, in ids or in jobs")
        return self


class BackupAsk(Ask):
    """Where a copy of the database goes: a file, or a folder that keeps the newest ones."""

    path: Annotated[str, Field(min_length=1, max_length=4000)]
    keep: int | None = Field(None, ge=1, le=10_000)


class ListQuery(Ask):
    """Which jobs are listed, and how many; `status` and `type` may repeat or hold several words with commas."""

    status: Annotated[list[StatusName], BeforeValidator(words)] = []
    type: Annotated[list[TypeName], BeforeValidator(words)] = []
    limit: Annotated[int, Field(ge=1, le=1000), Digits] = 20
    cursor: str | None = Field(None, max_length=100, description="the `nextCursor` of the page before")
    q: Query | None = None


class PageQuery(Ask):
    """Which page of a list, and how long it is."""

    limit: Annotated[int, Field(ge=1, le=1000), Digits] = 100
    cursor: str | None = Field(None, max_length=100, description="the `nextCursor` of the page before")


class EventsQuery(Ask):
    """Whose events are wanted, and after which one."""

    job_id: Annotated[Ids, BeforeValidator(words)] = []
    type: Annotated[list[TypeName], BeforeValidator(words)] = []
    last_event_id: str | None = None
    token: str | None = Field(None, description="the key, for EventSource, which sends no headers")


class StreamQuery(Ask):
    """After which message, and the key, for EventSource."""

    last_event_id: str | None = None
    token: str | None = None


class StrategyQuery(Ask):
    """By which strategy the places were found."""

    strategy: str | None = Field(None, pattern=r"^[0-9a-f]{8}$", description="a result's strategy_version")
    language: str | None = Field(None, min_length=1, max_length=100, description="that in which it was last asked for")


class StuckQuery(Ask):
    """For how many seconds a running job has not moved."""

    timeout: Annotated[int, Field(ge=0, le=10**9), Digits] = 3600


def taken(model: type[M], content: Mapping[str, Any]) -> M:
    """The content as a model, or BadPayload naming each field as the caller wrote it (`jobs.3.type`)."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise BadPayload(*faults_of(error, content)) from None


def query(model: type[M], asked: MultiMapping[str]) -> M:
    """The query as a model; a parameter that the model takes as a list may repeat, another may not."""
    lists = {field.alias for field in model.model_fields.values() if isinstance(field.default, list)}
    content = {name: ",".join(asked.getall(name)) for name in asked}
    twice = [name for name in content if name not in lists and len(asked.getall(name)) > 1]
    if twice:
        raise BadPayload(*(FieldError(name, "stands twice in the query; give it once") for name in twice))
    return taken(model, content)


def cursor_of(ask: ListQuery | PageQuery, places: Positions) -> int | None:
    """Where the page begins, as this caller was told it."""
    place = None if ask.cursor is None else places.read(ask.cursor, nonce=0)
    if ask.cursor is not None and not place:
        raise BadPayload(FieldError("cursor", "should be the nextCursor of the page before, as this key was given it"))
    return place


def submission(
    ask: SubmitAsk,
    registry: Registry,
    rule: AddressRule,
    idempotency: Idempotency | None,
    by: Caller,
    at: str = "",
    batch: BatchId | None = None,
) -> Submission:
    """What the queue is asked for, and by whom; `at` is where `ask` stands in its body, `batch` what it is part of."""
    if ask.callback is not None:
        check_url(f"{at}callback", ask.callback, rule)
    return Submission(
        type=ask.type,
        payload=ask.payload,
        priority=ask.priority,
        target=None if ask.callback is None else Target("callback", ask.callback),
        retry=None if ask.retry_policy is None else _policy(ask.retry_policy, _standard(ask.type, registry)),
        timeout=None if ask.timeout_seconds is None else timedelta(seconds=ask.timeout_seconds),
        run_at=ask.run_at,
        idempotency=idempotency,
        submitted_by=by.name,
        owner=by.prefix,
        bonds=_bonds(ask),
        batch=batch,
    )


def _bonds(ask: SubmitAsk) -> Bonds | None:
    ref = ask.ref if isinstance(ask, BatchJobAsk) else None
    if not (ask.depends_on or ask.on_parent_failure or ref):
        return None
    return Bonds(ask.depends_on or (), ask.on_parent_failure or "fail", ref)


def _standard(type: str, registry: Registry) -> RetryPolicy:
    spec = registry.known(type)
    return spec.retry if spec else RetryPolicy()


def _policy(ask: RetryAsk, standard: RetryPolicy) -> RetryPolicy:
    delay = standard.initial_delay if ask.initial_delay is None else timedelta(milliseconds=ask.initial_delay)
    retries = standard.max_retries if ask.max_retries is None else ask.max_retries
    return RetryPolicy(retries, ask.backoff or standard.backoff, delay)
