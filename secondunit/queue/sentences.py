"""Messages for people: English text that still knows the template and the words and figures it was made of.

A page in another language looks the template up in its catalogue and fills in the same; everybody else has plain text.
"""

from collections.abc import Mapping
from typing import Any


class Sentence(str):
    """The English text of a message. What writes JSON takes `str` of it."""

    template: str
    arguments: Mapping[str, Any]


def say(template: str, **arguments: Any) -> Sentence:
    """The message of this template; an argument may be a message itself, or a list, parted by commas."""
    made = Sentence(template.format(**{name: _text(value) for name, value in arguments.items()}))
    made.template, made.arguments = template, arguments
    return made


def _text(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
