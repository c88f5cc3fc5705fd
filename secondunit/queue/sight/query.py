"""Query language of job searches: words and `key:value`, `-` negates, quotes hold spaces.

Pure: a text becomes terms, all of which must hold, or BadPayload that names the word which is wrong.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.model import Filter, Job, Status, Term, TermKey
from secondunit.queue.outcome import JobError
from secondunit.queue.payloads.json_text import dump
from secondunit.queue.value import replace

MOST_TERMS = 20
LONGEST_QUERY = 1000
TOKEN = re.compile(r'(-?)(?:([A-Za-z]+):)?(?:"([^"]*)"|([^\s"]+))(?=\s|$)|(\S+)')
AGO = re.compile(r"([0-9]{1,6})(min|h|d|s)")
UNITS = {"s": timedelta(seconds=1), "min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
CLASSES = ("transient", "deterministic", "timeout", "cancelled")
ONE_OF = ("type", "status", "class", "error", "key", "by")  # given twice, either will do
LISTS = ("type", "status", "class", "error")  # take several with commas
MOMENTS = ("since", "until")
KEYS: Mapping[str, TermKey] = {key: key for key in get_args(TermKey) if key != "word"}


def searched(filter: Filter, text: str | None, now: datetime, searchable: Mapping[str, Sequence[str]]) -> Filter:
    """The filter, narrowed by a query; `searchable` names types whose payloads are looked into, and their secrets."""
    return replace(filter, terms=terms_of(text, now), searchable=searchable) if text else filter


def terms_of(text: str, now: datetime) -> Sequence[Term]:
    """What a query asks for; BadPayload for the first word that can't be read."""
    if len(text) > LONGEST_QUERY:
        raise _refused(f"is {len(text)} characters long; {LONGEST_QUERY} are read")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused("holds half a character (a lone surrogate)") from None
    terms: list[Term] = []
    either: dict[str, int] = {}
    for term in _terms(text, now):
        if term.key in ONE_OF and not term.negated and term.key in either:
            before = terms[either[term.key]]
            terms[either[term.key]] = replace(before, values=(*before.values, *term.values))
            continue
        if term.key in ONE_OF and not term.negated:
            either[term.key] = len(terms)
        terms.append(term)
    if len(terms) > MOST_TERMS:
        raise _refused(f"has {len(terms)} terms; {MOST_TERMS} are read")
    return tuple(terms)


def fits(job: Job, terms: Sequence[Term], searchable: Mapping[str, Sequence[str]]) -> bool:
    """Whether all terms hold for a job; the letters A to Z count as a to z."""
    return all(_holds(term, job, searchable) is not term.negated for term in terms)


def payload_text(job: Job, searchable: Mapping[str, Sequence[str]]) -> str:
    """The payload as it may be searched: without secrets, and nothing of a type that nobody vouches for."""
    if job.type not in searchable:
        return ""
    return dump({name: value for name, value in job.payload.items() if name not in searchable[job.type]})


def within_payload(term: Term) -> str:
    """What the JSON of a payload must hold for a word, a path or a URL; a whole beginning is looked for as one."""
    [text] = term.values
    inside = dump(text)[1:-1]
    starts = {"path": ("/", "s3://"), "url": ("http://", "https://")}.get(term.key, ())
    return f'"{inside}' if text.startswith(tuple(starts)) and starts else inside


def within_error(term: Term) -> str:
    """What the JSON of an error (its class, type and message) must hold for a word."""
    return dump(term.values[0])[1:-1]


def _holds(term: Term, job: Job, searchable: Mapping[str, Sequence[str]]) -> bool:
    match term.key:
        case "type":
            return job.type in term.values
        case "status":
            return job.status.value in term.values
        case "class":
            return job.error is not None and job.error.kind in term.values
        case "error":
            return job.error is not None and job.error.type in term.values
        case "key":
            return job.idempotency is not None and _own(job.idempotency.key) in term.values
        case "by":
            return (job.submitted_by or job.source) in term.values
        case "since":
            return term.at is not None and job.created_at >= term.at
        case "until":
            return term.at is not None and job.created_at < term.at
    texts = [(payload_text(job, searchable), within_payload(term))]
    if term.key == "word":
        texts += [(job.message or "", term.values[0]), (_told(job.error), within_error(term))]
    return any(_lower(part) in _lower(text) for text, part in texts)


def _own(key: str) -> str:
    """The client's part of a key: before it may stand an owner and a tab, after it a blank and a number in a batch."""
    return key.rpartition("\t")[2].partition(" ")[0]


def _told(error: JobError | None) -> str:
    return dump([error.kind, error.type, error.message]) if error else ""


def _lower(text: str) -> bytes:
    return text.encode().lower()  # of bytes, that is A to Z alone, as a database does it


def _terms(text: str, now: datetime) -> Iterator[Term]:
    for match in TOKEN.finditer(text):
        negated, key, quoted, plain, wrong = match.groups()
        if wrong is not None:
            raise _refused(f'`{wrong}`: a quotation mark opens and closes a word, as in "two words"')
        value = plain if quoted is None else quoted
        if key and key not in KEYS and plain is not None and plain.startswith("//"):
            key, value = None, f"{key}:{plain}"  # a URL as a word
        yield _term(match[0], key, value, negated == "-", now)


def _term(word: str, key: str | None, value: str, negated: bool, now: datetime) -> Term:
    if not value.strip() or value == "-":
        raise _refused(f"`{word}`: has nothing to look for")
    if key is None and value.endswith(":") and value[:-1] in KEYS:
        raise _refused(f"`{word}`: has nothing to look for")
    if key is None:
        return Term("word", (value,), negated)
    if key not in KEYS:
        raise _refused(f"`{word}`: there is no key {key}; known are {', '.join(KEYS)}; in quotes it is a word")
    if key in MOMENTS:
        return Term(KEYS[key], (), negated, _moment(word, value, now))
    values = tuple(part for part in value.split(",") if part) if key in LISTS else (value,)
    allowed = {"status": tuple(Status), "class": CLASSES}.get(key)
    for part in values:
        if allowed and part not in allowed:
            raise _refused(f"`{word}`: {part} is no {key}; known are {', '.join(allowed)}")
    if not values:
        raise _refused(f"`{word}`: has nothing to look for")
    return Term(KEYS[key], values, negated)


def _moment(word: str, value: str, now: datetime) -> datetime:
    """A time, a day, or how long ago."""
    if ago := AGO.fullmatch(value):
        try:
            return now - int(ago[1]) * UNITS[ago[2]]
        except OverflowError:
            raise _refused(f"`{word}`: is before all time") from None
    try:
        at = datetime.fromisoformat(value)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise _refused(
            f"`{word}`: should be a time (2026-01-22T12:00:00Z), a day (2026-01-22) or an age (90min, 6h, 7d)"
        ) from None


def _refused(why: str) -> BadPayload:
    return BadPayload(FieldError("q", why))
