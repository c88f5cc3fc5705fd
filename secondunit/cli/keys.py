"""Command group `secondunit keys`: access keys made, listed and revoked, and the audit trail."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import click

from secondunit.cli import output
from secondunit.cli.client import ask

SCOPES = ("read", "submit", "admin", "work")
SPAN = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
as_json = click.option("--json", "as_json", is_flag=True, help="Print what the API gave.")


@click.group()
def keys() -> None:
    """Make, list and revoke access keys; show who changed what."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(SCOPES),
              help="What it may do; may be given again. Without read, submit sees its own jobs alone.")  # fmt: skip
@click.option("--types", metavar="TYPE,...", help="The only job types that it submits, or leases.")
@click.option("--expires", metavar="90d", help="From when on it is no key: a number of m, h, d or w from now.")
@click.option("--rate", metavar="60/minute", help="How often it may be used, in place of RATE_LIMIT.")
@as_json
def add(
    name: str, scopes: tuple[str, ...], types: str | None, expires: str | None, rate: str | None, as_json: bool
) -> None:
    """Make a key and print it: this once, since it is not kept."""
    body: dict[str, Any] = {"name": name, "scopes": list(scopes)}
    if types is not None:
        body["types"] = [type.strip() for type in types.split(",") if type.strip()]
    if expires is not None:
        body["expiresAt"] = (datetime.now(UTC) + _span(expires)).isoformat()
    if rate is not None:
        body["rate"] = rate
    made = ask(
        lambda client: client.call("POST", "/api/keys", body=body),
        lambda settings: _offline().add_key(settings, body),
    )
    if as_json:
        output.printed(made)
        return
    click.echo(made["key"])
    output.say(f"the key {name!r} may {', '.join(made['scopes'])}; it is shown this once, so keep it now", err=True)


@keys.command("list")
@as_json
def list_keys(as_json: bool) -> None:
    """List all keys, those that were revoked too."""
    found = ask(
        lambda client: client.call("GET", "/api/keys"), lambda settings: _offline().list_keys(settings.database)
    )
    if as_json:
        output.printed(found)
        return
    rows = [("PREFIX", "NAME", "SCOPES", "TYPES", "RATE", "LAST USED", "ENDS")]
    for key in found["keys"]:
        ends = f"revoked {key['revokedAt']}" if key["revokedAt"] else key["expiresAt"] or "-"
        used, types = key["lastUsedAt"] or "never", ",".join(key["types"] or ["all"])
        rows.append((key["prefix"], key["name"], ",".join(key["scopes"]), types, key["rate"] or "-", used, ends))
    output.columns(rows)


@keys.command()
@click.argument("prefix")
@as_json
def revoke(prefix: str, as_json: bool) -> None:
    """Revoke a key by its prefix (`secondunit keys list`), at once, its open streams too."""
    prefix = prefix.removeprefix("su_").partition("_")[0]  # whoever has the key at hand may name it by that
    gone = ask(
        lambda client: client.call("DELETE", f"/api/keys/{quote(prefix, safe='')}"),
        lambda settings: _offline().revoke_key(settings.database, prefix),
    )
    output.printed(gone) if as_json else output.say(f"the key {gone['name']!r} is revoked")


@keys.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="List so many at most.")
@click.option("--cursor", type=click.IntRange(1), help="Where the page before said that this one begins.")
@click.option("--about", metavar="WORD", help="Only entries whose key, action or target is this.")
@as_json
def audit(limit: int, cursor: int | None, about: str | None, as_json: bool) -> None:
    """Show who changed what, newest first."""
    asked = {"limit": limit, "cursor": cursor, "about": about}
    query = {name: value for name, value in asked.items() if value is not None}
    found = ask(
        lambda client: client.call("GET", "/api/audit", query=query),
        lambda settings: _offline().audit(settings.database, cursor, limit, about),
    )
    if as_json:
        output.printed(found)
        return
    names = ("at", "key", "address", "action", "target", "detail")
    rows = [[entry[name] or "-" for name in names] for entry in found["entries"]]
    output.columns([[name.upper() for name in names], *rows])
    if found["nextCursor"]:
        click.echo(f"more: --cursor {found['nextCursor']}")


def _span(text: str) -> timedelta:
    found = SPAN.fullmatch(text)
    if found is None:
        raise click.BadParameter("name a number of minutes, hours, days or weeks, such as 90d", param_hint="--expires")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _offline() -> Any:
    from secondunit.cli import offline  # the store and what it needs, for the case that no daemon runs

    return offline
