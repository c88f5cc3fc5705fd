"""Escapes for foreign text in logs and tables: no control character, line break or direction override gets through."""

import unicodedata

# What moves a cursor, forges a line or turns text around: C0 and C1 controls, half surrogate pairs, line and paragraph
# separators, and format characters but for the joiners that emoji and some scripts are written with.
UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})
JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    r"""The text on one line, with what a terminal would obey shown as Python writes it (`\x1b`, `\n`, `\u202e`)."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if _is_unseen(char) else char for char in text)


def visible_json(text: str) -> str:
    r"""JSON that means the same, with such characters as `\uXXXX`; they stand in its strings only."""
    if text.isprintable():
        return text
    return "".join(_escaped_in_json(char) if char != "\n" and _is_unseen(char) else char for char in text)


def _is_unseen(char: str) -> bool:
    return not char.isprintable() and char not in JOINERS and unicodedata.category(char) in UNSEEN


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _escaped_in_json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
