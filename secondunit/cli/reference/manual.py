"""Command `secondunit manual`: the manual page, made of the commands and settings that are installed."""

import click


@click.command()
def manual() -> None:
    """Print the manual page secondunit(1); `secondunit manual | man -l -` reads it. `service install` installs it."""
    from secondunit.cli.reference.man_page import man_page

    click.echo(man_page(click.get_current_context().find_root().command), nl=False)
