"""Commented configuration file: every setting with what it means, what it may be, and its default or an example."""

from collections.abc import Iterator
from textwrap import wrap

from secondunit.cli.reference.meanings import Meaning, meanings
from secondunit.daemon.config.settings import PER_TYPE, Tables, marked
from secondunit.daemon.config.sources import installed

HEAD = """\
# Settings of Second Unit: all of them, each at its default, or with an example where there is none. Take the # away to
# set one. Environment variables of the same name in capitals win over this file. `secondunit config check` tells what
# is wrong, `secondunit config show` what is in effect; a restart brings a change into effect.
"""
HELD_APART = "A secret: rather a file of this name in /etc/secondunit/credentials, or the variable."
WIDEST = 116
TABLES = """
# How the failed attempts of a job type are tried again (max_retries, backoff, initial_delay_ms).
#[types.{type}.retry]
#max_retries = 3
#backoff = "exponential"
#initial_delay_ms = 1000

# A project that jobs of type deploy may touch (docs/deploy.md).
#[deploy.mysite]
#repo_url = "https://example.org/mysite.git"
#directory = "/srv/mysite"

# A job type that workers lease over HTTP (docs/remote-workers.md).
#[remote_types.ocr]
#concurrency = 4
#timeout_seconds = 600
#retry = {{ max_retries = 3 }}
#schema = {{ type = "object", properties = {{ page = {{ type = "integer" }} }}, required = ["page"] }}

# A job that is submitted by a clock.
#[[schedule]]
#name = "nightly"
#cron = "0 3 * * *"
#job = {{ type = "webp", payload = {{ inputPath = "/srv/media/a.jpg", outputPath = "/srv/media/a.webp" }} }}
"""


def config_file() -> str:
    """The file; as it stands it sets nothing, and with every # before a setting taken away it is valid."""
    types = sorted({source.type for source in installed() if source.type})
    parts = [HEAD]
    for name, meaning in meanings().items():
        if name in PER_TYPE:
            parts.append(
                "\n".join([*_told(meaning, f"one for each of {', '.join(types)}"), f"#{name}_{types[0]} = 2\n"])
            )
        elif name != "retry" and name not in marked(Tables):
            parts.append("\n".join([*_told(meaning, ""), f"#{name} = {meaning.example}\n"]))
    return "\n".join(parts) + TABLES.format(type=types[0])


def _told(meaning: Meaning, more: str) -> Iterator[str]:
    text = f"{meaning.text} ({meaning.allowed}{'; ' if more else ''}{more})"
    text = f"{text[0].upper()}{text[1:]}."
    if meaning.secret:
        text += f" {HELD_APART}"
    elif meaning.default is None and not more:
        text += " No default: this is an example."
    yield from (f"# {line}" for line in wrap(text, WIDEST, break_long_words=False, break_on_hyphens=False))
