"""Markdown tables: cells that no `|` and no line break can break."""


def row(*cells: str) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(text: str) -> str:
    """A text as a cell holds it."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
