"""Search of jobs by a query, on a reading connection: newest first and in short pieces, until time is up.

A search that would take seconds ends early with what it has and a cursor that goes on where it stopped.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from secondunit.queue.model import Filter, Page, Status, Term
from secondunit.queue.ports.pages import rest
from secondunit.queue.sight.query import within_error, within_payload
from secondunit.queue.stores.postgres.readers import PostgresReaders
from secondunit.queue.stores.postgres.tables.queries import FAR, conditions, find, paged
from secondunit.queue.stores.rows import micros
from secondunit.queue.value import Value, replace

LONGEST, PIECE = 0.12, 0.03  # seconds
FIRST_PIECE, LEAST, LARGEST_PIECE = 50, 5, 50_000  # rows: the first ones show how long such a row takes
KEY = "reverse(split_part(reverse(idempotency_key), chr(9), 1))"  # before it may stand its owner
COLUMNS = {
    "class": "split_part(error, '\"', 2)",  # of the JSON list [class, type, message]; casting it would refuse some
    "error": "split_part(error, '\"', 4)",
    "key": f"split_part({KEY}, ' ', 1)",  # a batch's jobs have numbers after it
    "by": "coalesce(submitted_by, source)",
}
PIECE_OF = """
select count(*), min(seq), count(*) filter (where hit), {named}
from (
  select seq, ({where}) as hit
  from jobs
  where seq < %s and seq >= %s and {these}
  order by seq desc
  limit %s) looked_at"""
NAMED = "(array_agg(seq order by seq desc) filter (where hit))[:{}]"
NOTHING_NAMED = "null"
FOUND = "select unnest(%s::bigint[])"
# The letters A to Z count as a to z, whatever the database's language.
LIKE = "lower({} collate \"C\") like %s escape '\\'"
# What remains of a payload without its secrets, every other byte as it was; nothing where PostgreSQL can't read it.
OPEN_PART = """
case
  when payload ~ '\\\\u(0000|[dD][89a-fA-F])' then ''
  else (
    select '{{' || coalesce(string_agg(to_json(key)::text || ':' || value::text, ','), '') || '}}'
    from json_each(payload::json)
    where key <> all(%s))
end"""

Condition = tuple[str, Sequence[Any]]


class _Seconds:
    """How many seconds a search has left, by a clock that is never set; without one it is never over."""

    def __init__(self, clock: Callable[[], float] | None) -> None:
        self._clock = clock or (lambda: 0.0)
        self._began = self._clock()
        self._last = self._began

    @property
    def over(self) -> bool:
        """Whether it ends now."""
        return self._clock() - self._began >= LONGEST

    def next_piece(self, rows: int) -> int:
        """How many rows to look at next, after so many: as many as take 30 ms."""
        took, self._last = self._clock() - self._last, self._clock()
        return min(LARGEST_PIECE, max(LEAST, int(rows * min(8.0, PIECE / took if took else 8.0))))


class _Piece(Value, frozen=True):
    """What of some rows matches: how many, and the first of them. `end` is the last row looked at; None: it was all."""

    end: int | None
    number: int
    seqs: Sequence[int]


class _Scan:
    """The rows that a filter may mean, looked at from the newest on."""

    def __init__(self, readers: PostgresReaders, where: Condition, these: Condition, seconds: _Seconds) -> None:
        self._readers = readers
        self._where = where
        self._these = these
        self._seconds = seconds
        self._rows = FIRST_PIECE

    async def piece(self, before: int, floor: int, wanted: int) -> _Piece:
        """The next rows below `before`, down to `floor`; so many that match are named."""
        n = self._rows
        named = NAMED.format(int(wanted)) if wanted else NOTHING_NAMED
        sql = PIECE_OF.format(named=named, where=self._where[0], these=self._these[0])
        values = [*self._where[1], before, floor, *self._these[1], n]
        [(looked, last, number, seqs)] = await self._readers.fetch(sql, values)
        self._rows = self._seconds.next_piece(n)
        return _Piece(last if looked == n else None, number, seqs or [])

    async def count(self, before: int, floor: int) -> tuple[int, bool]:
        """How many match between the two, as far as time allows, and whether that is all."""
        total, at = 0, before
        while not self._seconds.over:
            piece = await self.piece(at, floor, 0)
            total += piece.number
            if piece.end is None:
                return total, True
            at = piece.end
        return total, False


async def search(
    readers: PostgresReaders,
    filter: Filter,
    before: int,
    limit: int,
    *,
    counted: bool,
    clock: Callable[[], float] | None,
) -> Page:
    """A page of the jobs that match, cut short where `clock` says so; how many do in all is only asked if `counted`."""
    known = [type for (type,) in await readers.fetch("select distinct type from counts")]
    types = [type for type in sorted(known) if _fits(filter.types, "type", type, filter)]
    statuses = [status for status in Status if _fits(filter.statuses, "status", status, filter)]
    terms = [term for term in filter.terms if term.key not in ("type", "status")]
    if not types or not statuses:
        return Page([], 0, None)
    narrowed = replace(filter, types=types, statuses=statuses, terms=())
    if not terms:
        return await find(readers, narrowed, before, limit)
    where = _joined([_condition(term, filter.searchable) for term in terms])
    scan = _Scan(readers, where, conditions(narrowed), seconds := _Seconds(clock))
    seqs, total, at = list[int](), 0, before
    while True:
        piece = await scan.piece(at, 0, limit + 1 - len(seqs))
        seqs, total = [*seqs, *piece.seqs], total + piece.number
        if piece.end is None or len(seqs) > limit or seconds.over:
            break
        at = piece.end
    page = await paged(readers, FOUND, (seqs,), limit, 0)
    jobs, cursor = page.jobs, rest(page.jobs, page.next_cursor is not None, seqs, limit, piece.end)
    if not counted:
        return Page(jobs, 0, cursor)
    below, whole = (0, True) if piece.end is None else await scan.count(piece.end, 0)
    above, whole_above = (0, True) if before == FAR else await scan.count(FAR, before)
    return Page(jobs, total + below + above, cursor, truncated=not (whole and whole_above))


def _fits(named: Sequence[str], key: str, value: str, filter: Filter) -> bool:
    """Whether jobs of this type, or that stand so, can match at all."""
    terms = [term for term in filter.terms if term.key == key]
    return (not named or value in named) and all((value in term.values) is not term.negated for term in terms)


def _joined(conditions: Sequence[Condition]) -> Condition:
    return " and ".join(f"({sql})" for sql, _ in conditions), [value for _, values in conditions for value in values]


def _condition(term: Term, searchable: Mapping[str, Sequence[str]]) -> Condition:
    sql, values = _positive(term, searchable)
    return f"coalesce(({sql}), false) is {'false' if term.negated else 'true'}", values


def _positive(term: Term, searchable: Mapping[str, Sequence[str]]) -> Condition:
    if term.key in COLUMNS:
        return f"{COLUMNS[term.key]} = any(%s)", [list(term.values)]
    if term.at is not None:
        return f"created_at {'>=' if term.key == 'since' else '<'} %s", [micros(term.at)]
    in_payload, values = _in_payload(_pattern(within_payload(term)), searchable)
    if term.key != "word":
        return in_payload, values
    told = [_pattern(term.values[0]), _pattern(within_error(term))]
    words = " or ".join(LIKE.format(f"coalesce({column}, '')") for column in ("message", "error"))
    return f"({in_payload} or {words})", [*values, *told]


def _in_payload(pattern: str, searchable: Mapping[str, Sequence[str]]) -> Condition:
    """The payload, and what remains of it without secrets: few rows come so far as to be asked that."""
    sql, values = "type = any(%s)", list[Any]([[type for type, secrets in searchable.items() if not secrets]])
    for type, secrets in searchable.items():
        if secrets:
            open_part = LIKE.format(f"({OPEN_PART.format()})")
            sql += f" or (case when type = %s then {open_part} else false end)"
            values += [type, list(secrets), pattern]
    return f"(case when {LIKE.format('payload')} then ({sql}) else false end)", [pattern, *values]


def _pattern(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{_lower(escaped)}%"


def _lower(text: str) -> str:
    return text.encode().lower().decode()
