"""Commands as they are called."""

import pytest
from click.testing import CliRunner, Result

from secondunit.cli.main import secondunit


def called(*args: str) -> Result:
    return CliRunner().invoke(secondunit, args)


def shown(capsys: pytest.CaptureFixture[str], lines: int) -> str:
    """What was printed: so many lines, and nothing in them that a terminal would obey."""
    told = "".join(capsys.readouterr())
    assert told.replace("\n", "").isprintable(), repr(told)
    assert told.count("\n") == lines, told
    return told
