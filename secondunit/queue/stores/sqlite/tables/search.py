"""Search of jobs by a query, on a reading connection: one scan of the rows that type and status leave, newest first."""

from collections.abc import Mapping, Sequence
from typing import Any

from secondunit.queue.model import Filter, Page, Status, Term
from secondunit.queue.sight.query import within_error, within_payload
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.rows import JOB_COLUMNS, job_from, micros
from secondunit.queue.stores.sqlite.tables.queries import find

KEY = "substr(idempotency_key, instr(idempotency_key, char(9)) + 1)"  # before it may stand its owner
COLUMNS = {
    "class": "json_extract(error, '$[0]')",
    "error": "json_extract(error, '$[1]')",
    "key": f"substr({KEY}, 1, instr({KEY} || ' ', ' ') - 1)",  # a batch's jobs have numbers after it
    "by": "coalesce(submitted_by, source)",
}
COUNTED = """
with found as materialized (select seq from jobs {index} where {where})
select count(*), null from found
union all
select * from (select null, seq from found where seq < ? order by seq desc limit ?)"""
UNCOUNTED = "select null, seq from jobs {index} where {where} and seq < ? order by seq desc limit ?"
ROWS = f"select {JOB_COLUMNS} from jobs where seq in ({{}}) order by seq desc"
LIKE = "like ? escape '\\'"

Condition = tuple[str, Sequence[Any]]
Stand = Sequence[tuple[str, str, int]]  # type, status, how many


async def search(readers: Readers, filter: Filter, before: int, limit: int, *, counted: bool) -> Page:
    """A page of the jobs that match; how many do in all is only asked if `counted`."""
    stand: Stand = await readers.fetch("select type, status, n from counts", ())
    types = [type for type in sorted({type for type, _, _ in stand}) if _fits(filter.types, "type", type, filter)]
    statuses = [status for status in Status if _fits(filter.statuses, "status", status, filter)]
    terms = [term for term in filter.terms if term.key not in ("type", "status")]
    if not types or not statuses:
        return Page([], 0, None)
    if not terms:
        return await find(readers, Filter(statuses, types, filter.ids, filter.owner), before, limit)
    left = sum(n for type, status, n in stand if type in types and status in statuses)
    conditions = [_condition(term, filter.searchable) for term in terms]
    conditions += [_in("id", filter.ids)] if filter.ids else []
    conditions += [] if filter.owner is None else [_in("owner", [filter.owner])]
    if left < sum(n for _, _, n in stand):
        conditions += [_in("type", types), _in("status", statuses)]
    where = " and ".join(f"({sql})" for sql, _ in conditions)
    values = [value for _, values in conditions for value in values]
    index = "indexed by jobs_listed" if left * 3 < sum(n for _, _, n in stand) else "not indexed"
    sql = (COUNTED if counted else UNCOUNTED).format(index=index, where=where)
    found = await readers.fetch(sql, [*values, before, limit + 1])
    seqs = [seq for _, seq in found if seq is not None]
    rows = await readers.fetch(ROWS.format(", ".join("?" * len(seqs))), seqs) if seqs else []
    jobs = [job_from(row) for row in rows]
    return Page(jobs[:limit], found[0][0] if counted else 0, jobs[limit - 1].seq if len(jobs) > limit else None)


def _fits(named: Sequence[str], key: str, value: str, filter: Filter) -> bool:
    """Whether jobs of this type, or that stand so, can match at all."""
    terms = [term for term in filter.terms if term.key == key]
    return (not named or value in named) and all((value in term.values) is not term.negated for term in terms)


def _condition(term: Term, searchable: Mapping[str, Sequence[str]]) -> Condition:
    sql, values = _positive(term, searchable)
    return (f"not coalesce({sql}, 0)" if term.negated else sql), values


def _positive(term: Term, searchable: Mapping[str, Sequence[str]]) -> Condition:
    if term.key in COLUMNS:
        return _in(COLUMNS[term.key], term.values)
    if term.at is not None:
        return f"created_at {'>=' if term.key == 'since' else '<'} ?", [micros(term.at)]
    in_payload, values = _in_payload(_pattern(within_payload(term)), searchable)
    if term.key != "word":
        return in_payload, values
    told = [_pattern(term.values[0]), _pattern(within_error(term))]
    return f"({in_payload} or message {LIKE} or error {LIKE})", [*values, *told]


def _in_payload(pattern: str, searchable: Mapping[str, Sequence[str]]) -> Condition:
    """The payload, and what remains of it without secrets: few rows come so far as to be asked that."""
    open_ = [type for type, secrets in searchable.items() if not secrets]
    sql, values = f"type in ({', '.join('?' * len(open_))})", list[Any](open_)
    for type, secrets in searchable.items():
        if secrets:
            sql += f" or (type = ? and json_remove(payload{', ?' * len(secrets)}) {LIKE})"
            values += [type, *(f'$."{name}"' for name in secrets), pattern]
    return f"(payload {LIKE} and ({sql}))", [pattern, *values]


def _in(column: str, values: Sequence[Any]) -> Condition:
    return f"{column} in ({', '.join('?' * len(values))})", values


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
