"""Nothing where a name belongs, as a script gives it whose variable is not set: told by the option."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from secondunit.cli.main import COMMANDS, secondunit


def leaves(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    for name, own in command.commands.items():
        yield from leaves(own, (*path, name))


def cases() -> Iterator[tuple[tuple[str, ...], str]]:
    """Each command with nothing for one of its texts, and what that is called."""
    context = click.Context(secondunit)
    for name in COMMANDS:
        found = secondunit.get_command(context, name)
        assert found
        for path, command in leaves(found, (name,)):
            arguments = [param for param in command.params if isinstance(param, click.Argument)]
            for param in command.params:
                if not isinstance(param.type, click.types.StringParamType):
                    continue
                if isinstance(param, click.Argument):
                    yield (*path, *("" if one is param else "a" for one in arguments)), str(param.name).upper()
                else:
                    yield (*path, param.opts[0], ""), param.opts[0]


CASES = {" ".join(args): (args, called) for args, called in cases()}


@pytest.mark.parametrize("case", CASES)
def test_an_empty_text_is_told_by_its_name(case: str) -> None:
    args, called = CASES[case]
    result = CliRunner().invoke(secondunit, args)
    assert result.exit_code == 2 and "it is empty" in result.output and called in result.output, result.output


def test_every_kind_of_them_is_among_these() -> None:
    assert {"jobs list --type ", "keys add ", "schedule run ", "jobs list -q ", "submit ", "keys audit --about "} <= {
        *CASES
    }
