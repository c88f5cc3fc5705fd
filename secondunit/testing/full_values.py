"""Full values: one of each kind with no field left as its default, so that a field that gets lost is seen."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from msgspec import NODEFAULT
from msgspec.structs import fields

from secondunit.queue.value import Value
from secondunit.testing.clock import START

V = TypeVar("V", bound=Value)


def full(kind: type[V], **given: Any) -> V:
    """A value of this kind: fields that are not given hold something of their type, each something else."""
    hints = get_type_hints(kind)
    asked = {name: hints[name] for name in kind.__struct_fields__ if name not in given}
    made = {name: _of(hint, name, number) for number, (name, hint) in enumerate(asked.items(), 2)}
    return kind(**made, **given)


def left_out(value: Value) -> set[str]:
    """The fields that hold what they hold when nobody gives them anything."""
    defaults = {
        field.name: field.default if field.default_factory is NODEFAULT else field.default_factory()
        for field in fields(value)
    }
    return {name for name, default in defaults.items() if getattr(value, name) == default}


def _of(hint: Any, name: str, number: int) -> Any:
    plain: dict[Any, Any] = {
        str: name,
        int: number,
        float: 1 / number,
        bool: True,
        bytes: name.encode(),
        timedelta: timedelta(seconds=number),
        type(START): START + timedelta(seconds=number),
        Any: {"any": [name, number, None]},
        object: {"any": [name, number, None]},
    }
    if hint in plain:
        return plain[hint]
    origin, arguments = get_origin(hint), [argument for argument in get_args(hint) if argument is not NoneType]
    if origin is Literal:
        return arguments[-1]
    if origin is Mapping:
        return {name: _of(arguments[1], name, number)}
    if origin is Sequence:
        item = _of(arguments[0], name, number)
        return (
            (item,) if isinstance(item, Value) else [item]
        )  # JSON's arrays are lists; values of ours are kept in tuples
    if origin is not None:  # of a union the first, which is not None
        return _of(arguments[0], name, number)
    return list(hint)[-1] if issubclass(hint, Enum) else full(hint)
