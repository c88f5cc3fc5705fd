"""Manual page secondunit(1): made of the commands as click knows them and of the settings, so that it can't drift."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

import click

from secondunit.cli.reference.meanings import meanings

EXITS = (
    ("0", "done; of `doctor`, nothing is bad; of `check`, a restart is safe"),
    ("1", "it failed, or something is bad, or not safe"),
    ("2", "wrong usage"),
    ("3", "of `check`: it can't be known"),
    ("70", "of `run`: a part of it died or stood still"),
    ("74", "of `run`: the database or its disk failed"),
    ("75", "of `run`: another daemon has the database"),
    ("78", "wrong settings"),
)
FILES = (
    ("/etc/secondunit/config.toml", "settings, unless SECONDUNIT_CONFIG names another file"),
    ("/etc/secondunit/credentials/", "secrets, each a file named like its setting"),
    ("DATA_DIR/control.sock", "by which these commands reach the daemon"),
    ("DATA_DIR/queue.db", "the queue"),
)


def man_page(root: click.Command) -> str:
    """The page, in the man macros (man(7))."""
    lines = [
        f'.TH SECONDUNIT 1 "" "secondunit {version("secondunit")}" "User Commands"',
        ".SH NAME",
        r"secondunit \- a daemon for durable media jobs, and its commands",
        ".SH SYNOPSIS",
        r".B secondunit",
        r"\fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_text(root.help or ""),
        ".SH COMMANDS",
    ]
    for path, command in commands(root, ()):
        lines += _command(path, command)
    lines += [
        ".SH SETTINGS",
        "Variables of the environment, over the file, in which they are written small, over defaults.",
    ]
    for name, meaning in meanings().items():
        default = "" if meaning.default is None else f" Default: {meaning.default}."
        lines += [".TP", rf"\fB{_escaped(name.upper())}\fR", _escaped(f"{meaning.text} ({meaning.allowed}).{default}")]
    lines += [".SH EXIT STATUS", *_list(EXITS), ".SH FILES", *_list(FILES)]
    return "\n".join(lines) + "\n"


def commands(group: click.Command, path: Sequence[str]) -> Iterator[tuple[Sequence[str], click.Command]]:
    """Every command that does something, by the words that call it."""
    if not isinstance(group, click.Group):
        yield path, group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None and not command.hidden:
            yield from commands(command, (*path, name))


def _command(path: Sequence[str], command: click.Command) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    yield ".SS"
    yield rf"\fBsecondunit {_escaped(' '.join(path))}\fR {_escaped(usage)}"
    yield from _text(command.help or "")
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            yield from _option(option)


def _option(option: click.Option) -> Iterator[str]:
    record = option.get_help_record(click.Context(click.Command("secondunit")))
    if record is not None:
        names, text = record
        yield ".TP"
        yield rf"\fB{_escaped(names)}\fR"
        yield _escaped(text) or "."


def _text(text: str) -> Iterator[str]:
    """A help text: its paragraphs, each on one line."""
    for number, paragraph in enumerate(text.replace("\b", "").strip().split("\n\n")):
        if number:
            yield ".PP"
        yield _escaped(" ".join(paragraph.split()))


def _list(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", rf"\fB{_escaped(name)}\fR", _escaped(text))


def _escaped(text: str) -> str:
    """Text as troff prints it: a dash that can be pasted, and no line that begins with a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("`", r"\(ga").replace("'", r"\(aq")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped
