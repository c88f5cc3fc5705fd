"""Page of the commands, as click knows them."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import click

from secondunit.cli.main import secondunit
from secondunit.cli.reference.man_page import EXITS, FILES, commands
from tests.docs.cells import cell, row

HEAD = """\
# Commands

`secondunit COMMAND --help` says the same in a terminal, `secondunit manual | man -l -` is the manual page. Commands
reach the daemon by its control socket (`DATA_DIR/control.sock`), where no key is asked for; `jobs list`, `jobs show`
and `keys` also work without a daemon, on the database.
"""


def page() -> str:
    """The whole page."""
    lines = [HEAD.rstrip()]
    for word, under in groupby(commands(secondunit, ()), key=lambda found: found[0][0]):
        lines += ["", f"## {word}"]
        for path, command in under:
            lines += ["", *_command(path, command)]
    for title, rows in (("Exit codes", EXITS), ("Files", FILES)):
        lines += ["", f"## {title}", "", row("", "meaning"), row("---", "---")]
        lines += [row(f"`{name}`", cell(text)) for name, text in rows]
    return "\n".join(lines) + "\n"


def _command(path: Sequence[str], command: click.Command) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(click.Context(command)))
    yield f"`secondunit {' '.join(path)} {usage}`".replace(" `", "`")
    for paragraph in (command.help or "").replace("\b", "").strip().split("\n\n"):
        yield from ("", " ".join(paragraph.split()))
    rows = [_option(one) for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if rows:
        yield from ("", row("option", "meaning"), row("---", "---"), *rows)


def _option(option: click.Option) -> str:
    names, text = option.get_help_record(click.Context(click.Command("secondunit"))) or ("", "")
    return row(f"`{names}`".replace("|", "\\|"), cell(text))
