"""Structural limits of JSON: how many values may stand in a body, counted before anything parses it.

A validator holds the loop for as long as it has values that it refuses: 80,000 unknown fields, 39 ms. Counting bytes
costs a fiftieth of parsing them, and goes window by window: a call over megabytes would hold up all other threads.
"""

from collections.abc import Iterator

from secondunit.daemon.http.transport.problems import NotJson, TooLarge
from secondunit.queue.errors import BadPayload, FieldError

DEEPEST = 64
# Of one job, and of a batch: a thousand jobs need a tenth of it.
MOST_OF_ONE, MOST_VALUES, MOST_ESCAPES = 10_000, 250_000, 1_500_000
WINDOW, BACKSLASH = 256 * 1024, 0x5C
TOO_DEEP = f"values are nested deeper than {DEEPEST} levels"
MARKS, STRUCTURE = b"[{,", b"[]{},:"
NO_MARKS, NO_STRUCTURE = (bytes(set(range(256)) - {*b'"', *kept}) for kept in (MARKS, STRUCTURE))
LONGEST_NAME = 100


def check_one(raw: bytes | bytearray, at: str = "") -> None:
    """BadPayload, naming the place, for more values than one job needs; `at` is the path of this text in its body."""
    if crowded(raw, MOST_OF_ONE):
        raise too_crowded(".".join(part for part in (at, _place(raw, MOST_OF_ONE)) if part))


def check_batch(raw: bytes | bytearray) -> None:
    """BadPayload for more values than many jobs need; TooLarge for more escapes."""
    if sum(window.count(b"\\") for window in _windows(raw)) > MOST_ESCAPES:
        raise TooLarge(f"more than {MOST_ESCAPES} escaped characters in one body; send several")
    if crowded(raw, MOST_VALUES):
        raise BadPayload(FieldError("", f"more than {MOST_VALUES} values in one body; send several"))


def crowded(raw: bytes | bytearray, most: int) -> bool:
    """Whether more than so many values, fields of objects and entries of arrays, stand in this text."""
    if len(raw) <= most or sum(map(_marks, _windows(raw))) <= most:
        return False
    quotes = outside = 0
    for window in _windows(raw):  # without the marks that stand in its strings
        plain = _unescaped(window).translate(None, NO_MARKS)
        outside += _marks(b"".join(plain.split(b'"')[quotes % 2 :: 2]))
        quotes += plain.count(b'"')
        if outside > most or quotes > 4 * most:  # a value has two strings at most: a name, and itself
            return True
    return False


def too_crowded(place: str) -> BadPayload:
    """The refusal of what has more values than one job needs."""
    return BadPayload(
        FieldError(
            place,
            f"here are more than {MOST_OF_ONE} values (fields and entries, nested ones too), and one job or call has at"
            " most so many; leave out what the call does not know, and keep a long list in a file and send its path",
        )
    )


def _place(raw: bytes | bytearray, most: int) -> str:
    """The path of the object or array in which the value after so many stands, as far as it goes by names."""
    names: list[str] = []
    text = name = b""
    count = 0
    for number, piece in enumerate(bytes(_unescaped(raw)).split(b'"', 4 * most + 4)):
        if number % 2:
            text = bytes(piece[:LONGEST_NAME])
            continue
        for mark in piece.translate(None, NO_STRUCTURE).decode():
            match mark:
                case "]" | "}":
                    names[-1:] = []
                case ":":
                    name = text
                case _:
                    if mark != ",":
                        names.append(name.decode("utf-8", "replace"))
                    name, count = b"", count + 1
            if len(names) > DEEPEST:
                raise NotJson(TOO_DEEP)
            if count > most:
                return ".".join(filter(None, names))
    return ""


def _unescaped(raw: bytes | bytearray) -> bytes | bytearray:
    return raw.replace(b"\\\\", b"").replace(b'\\"', b"")


def _windows(raw: bytes | bytearray) -> Iterator[bytes | bytearray]:
    """The text in pieces, none of which ends in a backslash."""
    at = 0
    while at < len(raw):
        end = min(at + WINDOW, len(raw))
        while end < len(raw) and raw[end - 1] == BACKSLASH:
            end += 1
        yield raw[at:end]
        at = end


def _marks(raw: bytes | bytearray) -> int:
    return sum(raw.count(mark) for mark in (b"[", b"{", b","))
