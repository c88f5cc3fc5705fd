"""Command `secondunit completion`: click's own completion, as a script for a shell; and what job types it offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_SECONDUNIT_COMPLETE"  # what click looks for, by the program's name


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script by which a shell completes commands, options, job types and statuses; no daemon is needed.

    bash: `eval "$(secondunit completion bash)"` in ~/.bashrc; zsh the same in ~/.zshrc; fish: save it as
    ~/.config/fish/completions/secondunit.fish.
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"click has no completion for {shell}")
    click.echo(made(root.command, {}, "secondunit", VARIABLE).source())


def job_types(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Sequence[CompletionItem]:
    """The job types that are installed here and begin so."""
    from click.shell_completion import CompletionItem

    from secondunit.daemon.config.sources import installed

    types = sorted({source.type for source in installed() if source.type.startswith(incomplete)})
    return [CompletionItem(type) for type in types if type]
