"""Column tables: what a row keeps of a value, a line for each column, and the row mappers compiled from them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

Row = Sequence[Any]
INDENT = ",\n    "


class Codec(NamedTuple):
    """How a field becomes a column's value and the value the field; `absent`, in Python, is what null stands for."""

    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    absent: str | None = None


PLAIN = Codec()


class Column(NamedTuple):
    """A column: of the field of its name, or of what `of` leads to (`lease?.boot`, with `?` after what may be None).

    One that is `computed` from the whole value is written and never read back.
    """

    name: str
    codec: Codec = PLAIN
    of: str = ""
    computed: Callable[[Any], Any] | None = None

    @property
    def field(self) -> str:
        """The field that it holds, or a part of."""
        return (self.of or self.name).partition(".")[0].removesuffix("?")


class Part(NamedTuple):
    """A field that is built from several columns, in their order."""

    field: str
    build: Callable[..., Any]
    columns: str


def names(columns: Iterable[Column]) -> list[str]:
    """The columns' names."""
    return [column.name for column in columns]


def encoder(columns: Sequence[Column]) -> Callable[[Any], tuple[Any, ...]]:
    """The function that makes a value's row."""
    known = {f"encode_{column.name}": column.computed or column.codec.encode for column in columns}
    return _compiled(f"({INDENT.join(map(_encoded, columns))},)", "value", known)


def differences(columns: Sequence[Column]) -> Callable[[Any, Any], tuple[int, list[Any]]]:
    """The function that tells in which columns the rows of two values differ: a number, and what is there now.

    The number's digits to the base of 4, the last one first, say of each column in turn that it has something else now
    (1) or is null now (2). Columns are made only of fields that differ, not two whole rows to compare.
    """
    known = {f"encode_{column.name}": column.computed or column.codec.encode for column in columns}
    lines = [f"if {_differs(column)}:{_noted(column, number)}" for number, column in enumerate(columns)]
    body = ["number, now = 0, []", *lines, "return number, now"]
    function: Callable[[Any, Any], tuple[int, list[Any]]] = _function("before, value", body, known)
    return function


def decoder(kind: type, columns: Sequence[Column], parts: Sequence[Part] = ()) -> Callable[[Row], Any]:
    """The function that makes the value of a row."""
    known: dict[str, Any] = {f"decode_{column.name}": column.codec.decode for column in columns}
    known |= {f"build_{part.field}": part.build for part in parts} | {"build_value": kind}
    own = [column for column in columns if column.field == column.name and not column.computed]
    fields = [f"{column.name}={_decoded(column)}" for column in own]
    fields += [f"{part.field}={_built(part, columns)}" for part in parts]
    return _compiled(f"build_value({INDENT.join(fields)})", f"({', '.join(names(columns))},)", known)


def several(kind: type, columns: Sequence[Column], dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> Codec:
    """The codec of a field of several values, by default none: what `dump` makes of a list of their rows."""
    row_of, value_of = encoder(columns), decoder(kind, columns)
    return Codec(lambda values: dump([*map(row_of, values)]), lambda kept: tuple(map(value_of, load(kept))), "()")


def _encoded(column: Column) -> str:
    name, codec, of, computed = column
    if computed:
        return f"encode_{name}(value)"
    holder, optional, rest = (of or name).partition("?.")
    field = f"value.{holder}.{rest}" if optional else f"value.{holder}"
    nothing = f"value.{holder} is None" if optional else None
    if codec.absent is not None:
        nothing = f"(field := {field}) is None" if codec.absent == "None" else f"not (field := {field})"
        field = "field"
    text = f"encode_{name}({field})" if codec.encode else field
    return f"None if {nothing} else {text}" if nothing else text


def _differs(column: Column) -> str:
    if column.computed:
        return f"encode_{column.name}(value) != encode_{column.name}(before)"
    own, old = f"value.{column.field}", f"before.{column.field}"
    return f"{own} is not {old} and {own} != {old}"  # most are the very same


def _noted(column: Column, number: int) -> str:
    there, null = 4**number, 2 * 4**number
    return f"""
    if (new := {_encoded(column)}) is None:
      number |= {null}
    else:
      number |= {there}
      now.append(new)"""


def _decoded(column: Column) -> str:
    name, codec = column.name, column.codec
    text = f"decode_{name}({name})" if codec.decode else name
    return text if codec.absent is None else f"{codec.absent} if {name} is None else {text}"


def _built(part: Part, columns: Sequence[Column]) -> str:
    by_name = {column.name: column for column in columns}
    text = f"build_{part.field}({', '.join(_decoded(by_name[name]) for name in part.columns.split())})"
    optional = [column.name for column in columns if column.of.startswith(f"{part.field}?")]
    return f"None if {optional[0]} is None else {text}" if optional else text


def _compiled(expression: str, argument: str, known: dict[str, Any]) -> Callable[[Any], Any]:
    mapper: Callable[[Any], Any] = _function("row", [f"{argument} = row", f"return {expression}"], known)
    return mapper


def _function(arguments: str, body: Sequence[str], known: dict[str, Any]) -> Any:
    """A function from its text, as dataclasses make theirs: the writer has no time for a call for each column."""
    lines = "".join(f"  {line}\n" for line in body)
    exec(f"def mapper({arguments}):\n{lines}", known)  # noqa: S102 - text of `rows` alone
    return known["mapper"]
