"""Page of the HTTP calls: each with what it does and the scope that it needs."""

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from tests.docs.cells import cell, row

HEAD = """\
# Calls

Every field of what is sent and answered stands in [openapi.json](../openapi.json), which a running daemon serves at
`/api/openapi.json`, and at `/docs` as a page to try calls on. Errors are problem details (RFC 9457) and name each
field by its dotted path. How scopes work: [keys](../keys.md).
"""
SCOPE = re.compile(r"Scope: (.*)\.$")


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    lines = [HEAD.rstrip()]
    for tag, calls in groupby(sorted(called(document), key=_tag), key=_tag):
        lines += ["", f"## {tag}", "", about[tag], "", row("call", "what it does", "scope"), row("---", "---", "---")]
        lines += [row(f"`{method} {path}`", cell(one["summary"]), _scope(one)) for method, path, one in calls]
    return "\n".join(lines) + "\n"


def called(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Each call."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _tag(call: tuple[str, str, Mapping[str, Any]]) -> str:
    tag: str = call[2]["tags"][0]
    return tag


def _scope(operation: Mapping[str, Any]) -> str:
    last = operation["description"].rpartition("\n\n")[2]
    match = SCOPE.search(last)
    return cell(match[1]) if match else "no key"
