"""Page of every setting: name, default, meaning, what it allows."""

from collections.abc import Iterator

from secondunit.cli.reference.meanings import Meaning, meanings
from secondunit.daemon.config.settings import PER_TYPE, Tables, marked
from tests.docs.cells import cell, row

HEAD = """\
# Settings

Where a value comes from, the first that has one: a variable of the environment (names as here), a file of the
setting's name in small letters in `$CREDENTIALS_DIRECTORY` or `/etc/secondunit/credentials` (secrets only), the TOML
file (names in small letters), the default. `secondunit config show` says of each where it came from. The TOML file is
`/etc/secondunit/config.toml`, or the one that `SECONDUNIT_CONFIG` names; `secondunit config init FILE` writes one
with all of these in it, and `config check` finds what is wrong. A change counts from the next start.
"""


def page() -> str:
    """The whole page."""
    rows = [row("name", "default", "meaning", "allowed"), row("---", "---", "---", "---")]
    rows += [row(_name(name), _default(meaning), cell(meaning.text), _allowed(meaning)) for name, meaning in told()]
    return "\n".join([HEAD, *rows]) + "\n"


def told() -> Iterator[tuple[str, Meaning]]:
    """Each setting with its meaning, in the order of the schema."""
    yield from meanings().items()


def _name(name: str) -> str:
    if name in PER_TYPE:
        return f"`{name.upper()}_TYPE`"
    if name in marked(Tables) or name == "retry":
        return f"`{name}` (file only)"
    return f"`{name.upper()}`"


def _default(meaning: Meaning) -> str:
    return "" if meaning.default is None else f"`{meaning.default}`"


def _allowed(meaning: Meaning) -> str:
    return cell(meaning.allowed) + ("; a secret" if meaning.secret else "")
