"""Search of jobs by a query, on a reading connection: newest first and in short pieces, until time is up.

A piece takes some 30 ms, so that other readers come between, and a search that would take seconds ends early with what
it has and a cursor that goes on where it stopped. No index of words: it would cost every submit more than its job.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from secondunit.queue.model import Filter, Page, Status, Term
from secondunit.queue.ports.pages import rest
from secondunit.queue.sight.query import within_error, within_payload
from secondunit.queue.stores.rows import JOB_COLUMNS, job_from, micros
from secondunit.queue.stores.sqlite.readers import Readers
from secondunit.queue.stores.sqlite.tables.queries import FAR, find
from secondunit.queue.turns import made_in_turns
from secondunit.queue.value import Value

LONGEST, PIECE = 0.12, 0.03  # seconds
FIRST_PIECE, LEAST, LARGEST_PIECE = 50, 5, 50_000  # rows: the first ones show how long such a row takes
KEY = "substr(idempotency_key, instr(idempotency_key, char(9)) + 1)"  # before it may stand its owner
COLUMNS = {
    "class": "json_extract(error, '$[0]')",
    "error": "json_extract(error, '$[1]')",
    "key": f"substr({KEY}, 1, instr({KEY} || ' ', ' ') - 1)",  # a batch's jobs have numbers after it
    "by": "coalesce(submitted_by, source)",
}
NEWEST = "select seq from jobs where {range} and seq < ? and seq >= ? order by seq desc limit ?"
# `case` leaves the rest alone once it can tell; outside of it SQLite works out both sides of each `and` and `or`.
PIECE_OF = """
select count(*), min(seq), coalesce(sum(hit), 0), {named}
from (
  select seq, case when {where} then 1 else 0 end as hit
  from jobs {these}
  order by seq desc
  limit ?)"""
NAMED = "group_concat(case when hit then seq end)"
ROWS = f"select {JOB_COLUMNS} from jobs where seq in ({{}}) order by seq desc"
LIKE = "like ? escape '\\'"

Condition = tuple[str, Sequence[Any]]
Stand = Sequence[tuple[str, str, int]]  # type, status, how many


class Seconds:
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


class Piece(Value, frozen=True):
    """What of some rows matches: how many, and the first of them. `end` is the last row looked at; None: it was all."""

    end: int | None
    number: int
    seqs: Sequence[int]


class Scan:
    """The rows that a filter may mean, looked at from the newest on."""

    def __init__(self, readers: Readers, where: Condition, ranges: Sequence[Condition], seconds: Seconds) -> None:
        self._readers = readers
        self._where = where
        self._ranges = ranges
        self._seconds = seconds
        self._rows = FIRST_PIECE

    async def piece(self, before: int, floor: int, wanted: int) -> Piece:
        """The next rows below `before`, down to `floor`; so many that match are named."""
        n = self._rows
        condition, values = self._where
        each = " union all ".join(f"select * from ({NEWEST.format(range=range)})" for range, _ in self._ranges)
        among = [value for _, own in self._ranges for value in (*own, before, floor, n)]
        these, limits = f"where seq in ({each})", [*values, *among, n]
        if not self._ranges:
            these, limits = "not indexed where seq < ? and seq >= ?", [*values, before, floor, n]
        sql = PIECE_OF.format(named=NAMED if wanted else "null", where=condition, these=these)
        [(looked, last, number, seqs)] = await self._readers.fetch(sql, limits)
        self._rows = self._seconds.next_piece(n)
        found = sorted(map(int, seqs.split(",")), reverse=True)[:wanted] if seqs else []
        return Piece(last if looked == n else None, number, found)

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
    readers: Readers, filter: Filter, before: int, limit: int, *, counted: bool, clock: Callable[[], float] | None
) -> Page:
    """A page of the jobs that match, cut short where `clock` says so; how many do in all is only asked if `counted`."""
    stand: Stand = await readers.fetch("select type, status, n from counts", ())
    types = [type for type in sorted({type for type, _, _ in stand}) if _fits(filter.types, "type", type, filter)]
    statuses = [status for status in Status if _fits(filter.statuses, "status", status, filter)]
    terms = [term for term in filter.terms if term.key not in ("type", "status")]
    if not types or not statuses:
        return Page([], 0, None)
    if not terms:
        return await find(readers, Filter(statuses, types, filter.ids, filter.owner), before, limit)
    where = _joined([*_plain(types, statuses, stand), *(_condition(term, filter.searchable) for term in terms)])
    scan = Scan(readers, where, list(_ranges(filter, types, statuses, stand)), seconds := Seconds(clock))
    seqs, total, at = list[int](), 0, before
    while True:
        piece = await scan.piece(at, 0, limit + 1 - len(seqs))
        seqs, total = [*seqs, *piece.seqs], total + piece.number
        if piece.end is None or len(seqs) > limit or seconds.over:
            break
        at = piece.end
    rows, more = await readers.page(ROWS.format(", ".join("?" * len(seqs))), seqs, limit) if seqs else ([], False)
    jobs = await made_in_turns(job_from, rows)
    cursor = rest(jobs, more, seqs, limit, piece.end)
    if not counted:
        return Page(jobs, 0, cursor)
    below, whole = (0, True) if piece.end is None else await scan.count(piece.end, 0)
    above, whole_above = (0, True) if before == FAR else await scan.count(FAR, before)
    return Page(jobs, total + below + above, cursor, truncated=not (whole and whole_above))


def _plain(types: Sequence[str], statuses: Sequence[Status], stand: Stand) -> Iterator[Condition]:
    """Type and status, if they leave anything out."""
    if any(type not in types or status not in statuses for type, status, _ in stand):
        yield _in("type", types)
        yield _in("status", statuses)


def _ranges(filter: Filter, types: Sequence[str], statuses: Sequence[Status], stand: Stand) -> Iterator[Condition]:
    """The ranges of an index that hold all that may match; none where the whole table is as quickly looked at."""
    left = sum(n for type, status, n in stand if type in types and status in statuses)
    if filter.ids:
        condition, values = _in("id", filter.ids)
        owner = "" if filter.owner is None else " and owner = ?"
        yield condition + owner, [*values, *([filter.owner] if owner else [])]
    elif filter.owner is not None:
        yield from (("owner = ? and status = ?", [filter.owner, status]) for status in statuses)
    elif left * 3 < sum(n for _, _, n in stand):
        yield from (("type = ? and status = ?", [type, status]) for type in types for status in statuses)


def _fits(named: Sequence[str], key: str, value: str, filter: Filter) -> bool:
    """Whether jobs of this type, or that stand so, can match at all."""
    terms = [term for term in filter.terms if term.key == key]
    return (not named or value in named) and all((value in term.values) is not term.negated for term in terms)


def _joined(conditions: Sequence[Condition]) -> Condition:
    return " and ".join(f"({sql})" for sql, _ in conditions), [value for _, values in conditions for value in values]


def _condition(term: Term, searchable: Mapping[str, Sequence[str]]) -> Condition:
    sql, values = _positive(term, searchable)
    return (f"case when {sql} then 0 else 1 end" if term.negated else sql), values


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
