"""Submit form: its fields from the payload's JSON Schema, faults at their fields; a job is run again with changes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from secondunit.daemon.config.plugin_guard import payload_schema
from secondunit.daemon.dashboard.forms import form_of
from secondunit.daemon.dashboard.one_job.masking import hidden_fields, shown_payload
from secondunit.daemon.dashboard.one_job.schema_form import (
    FormField,
    content_of,
    faulted,
    fields_of,
    filled,
    typed,
)
from secondunit.daemon.dashboard.page import Done, Shown, Visit
from secondunit.daemon.http.contract.requests import SubmitAsk
from secondunit.daemon.http.endpoints import analyses
from secondunit.daemon.http.endpoints.jobs import submitted
from secondunit.daemon.http.transport import problems
from secondunit.queue.errors import BadPayload, FieldError, KeyReused, TypeBroken, TypeUnavailable, UnknownType
from secondunit.queue.model import Job
from secondunit.queue.payloads.redaction import redacted
from secondunit.queue.sentences import say

KEY = "Idempotency-Key"
AGAIN_OF = "again_of"
MEANT = (BadPayload, UnknownType, TypeUnavailable, TypeBroken)


@dataclass(frozen=True, slots=True)
class JobForm:
    """The form of one type: `payload`'s fields, those around it, and the job that is run again."""

    type: str
    payload: Sequence[FormField]
    around: Sequence[FormField]
    again: Job | None = None
    anew: Sequence[str] = ()


async def show(visit: Visit) -> Shown:
    """The choice of a type, or the form of one: empty, or filled with what an earlier job was asked for."""
    again = visit.query.get("again")
    job = visit.caller.seen(await visit.api.queue.get(again)) if again else None
    type = job.type if job else visit.query.get("type")
    if type is None:
        return _page(visit, None)
    form = _form(visit, type, job)
    return _page(visit, _from_job(visit, form, job) if job else form)


async def submit(visit: Visit, request: web.Request) -> Done | Shown:
    """Submit what was typed, or show the form again with what is wrong at each field."""
    fields = await form_of(request)
    again = fields.get("again")
    job = visit.caller.seen(await visit.api.queue.get(again)) if again else None
    form = _form(visit, fields.get("type", ""), job)
    form = replace(form, payload=typed(form.payload, fields, form.anew), around=typed(form.around, fields, form.anew))
    content, faults = content_of([*form.payload, *form.around])
    if not faults:
        key = content.pop(KEY, None)
        body = {"type": form.type, "payload": {}} | content
        try:
            made, created = await submitted(
                visit.api, request, body, key, {AGAIN_OF: job.id} if job and job.type == form.type else None
            )
        except MEANT as error:
            faults = problems.fields_of(error)
        except KeyReused as error:
            faults = [FieldError(KEY, str(error))]
        else:
            return Done(f"/jobs/{made.id}", visit.texts("submit.done" if created else "submit.known"))
    return _page(visit, form, faults)


async def upload(visit: Visit, request: web.Request) -> Done:
    """Take a video for an analysis, as `POST /analyze` does; the job that makes its recipe, or has made it."""
    found = await analyses.uploaded_video(visit.api, request)
    known = isinstance(found, analyses.CachedAnalysis)
    job_id = found.job_id if isinstance(found, analyses.CachedAnalysis) else found.id
    return Done(f"/jobs/{job_id}", visit.texts("submit.known" if known else "submit.done"))


def _form(visit: Visit, type: str, again: Job | None) -> JobForm:
    visit.caller.check_types([type])
    spec = visit.api.queue.registry[type]
    around = dict(SubmitAsk.model_json_schema())
    around["properties"] = {
        name: told for name, told in around["properties"].items() if name not in ("type", "payload")
    } | {KEY: {"type": "string", "description": say("the same key again stands for the same job, for 24 hours")}}
    fields = fields_of(payload_schema(spec), spec.secrets, ("payload",))
    return JobForm(type, fields, fields_of(around), again, _anew(visit, again) if again else ())


def _anew(visit: Visit, job: Job) -> Sequence[str]:
    """The fields of an earlier job that are not, or not wholly, shown."""
    hidden = hidden_fields(job, shown_payload(job, visit.api.queue.registry))
    callback = job.target.address if job.target else ""
    return [*(f"payload.{name}" for name in hidden), *(["callback"] if redacted(callback) != callback else [])]


def _from_job(visit: Visit, form: JobForm, job: Job) -> JobForm:
    """The form with what the job was asked for, but for what is not shown."""
    content: dict[str, Any] = {"priority": job.priority, "timeoutSeconds": job.timeout and job.timeout.total_seconds()}
    if job.target is not None and job.target.kind == "callback":
        content["callback"] = redacted(job.target.address)
    shown = {"payload": shown_payload(job, visit.api.queue.registry)}
    return replace(form, payload=filled(form.payload, shown, form.anew), around=filled(form.around, content, form.anew))


def _unspoken(field: FormField) -> FormField:
    """The field as it may be sent back: what was typed as a secret is not, and has to be typed again."""
    return replace(field, typed="", anew=True) if field.secret and field.typed else field


def _page(visit: Visit, form: JobForm | None, faults: Sequence[FieldError] = ()) -> Shown:
    registry, own = visit.api.queue.registry, visit.caller.types
    types = sorted(type for type in registry if own is None or type in own)
    values: dict[str, Any] = {"types": types, "form": form, "faults": (), "uploads": False}
    if form is not None:
        payload, others = faulted([_unspoken(one) for one in form.payload], faults)
        around, others = faulted(form.around, others)
        values |= {"form": replace(form, payload=payload, around=around), "faults": others}
        values["uploads"] = form.type == analyses.TYPE and visit.api.analyses is not None
    command = f"secondunit submit {form.type}" if form else ""
    return Shown("submit.html", values, command, status=422 if faults else 200)
