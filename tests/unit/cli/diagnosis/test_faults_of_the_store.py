"""Doctor finds what is wrong with the database, its backups and its disk."""

import asyncio
import os
from pathlib import Path

from click.testing import CliRunner

from secondunit.cli.diagnosis import store
from secondunit.cli.main import secondunit
from secondunit.daemon.files.backups import take
from secondunit.daemon.process.clock import SystemClock
from secondunit.queue.ports.access import AuditEntry
from secondunit.queue.stores.sqlite.store import open_store
from tests.unit.cli.diagnosis.situations import Box, data_of, only


async def back_up(database: Path, folder: Path) -> None:
    """As `secondunit backup` does, which notes where it went."""
    opened, now = await open_store(database), SystemClock().now()
    copy = await take(opened, folder, None, now, {})
    await opened.audit.add(AuditEntry(now, None, "test", "backup", str(copy.path)))
    await opened.close()


def test_a_backup_that_was_never_verified_is_found_until_it_is(box: Box, tmp_path: Path) -> None:
    here = box()
    assert only(store.store(here), "backup").state == "warn", "there is none"
    backups = tmp_path / "elsewhere"
    backups.mkdir()
    asyncio.run(back_up(here.settings.database.path, backups))
    check = only(store.store(here), "backup")
    assert check.state == "ok" and str(backups) in check.found, "the database knows where the last one went"
    [copy] = backups.glob("*.db")
    copy.write_bytes(copy.read_bytes())
    check = only(store.store(here), "backup")
    assert check.state == "bad" and "never verified" in check.found and f"--verify {copy}" in check.remedy
    done = CliRunner().invoke(secondunit, ["backup", "--verify", str(backups)])
    assert done.exit_code == 0 and "is whole: 0 jobs" in done.output
    assert only(store.store(here), "backup").state == "ok"
    copy.write_bytes(copy.read_bytes()[:20000])
    assert CliRunner().invoke(secondunit, ["backup", "--verify", str(copy)]).exit_code == 1
    assert only(store.store(here), "backup").state == "bad"


def test_an_old_backup_is_found(box: Box) -> None:
    here = box()
    folder = data_of(here) / "backups"
    folder.mkdir()
    (folder / "a.db").touch()
    os.utime(folder / "a.db", (0, 0))
    assert "days old" in only(store.store(here), "backup").found


def test_a_ballast_that_is_gone_is_found(box: Box) -> None:
    here = box()
    assert only(store.store(here), "ballast").state == "ok"
    (data_of(here) / "queue.db.ballast").unlink()
    check = only(store.store(here), "ballast")
    assert check.state == "bad" and "queue.db.ballast is gone" in check.found


def test_a_huge_wal_is_found(box: Box) -> None:
    here = box()
    assert only(store.store(here), "wal").state == "ok"
    (data_of(here) / "queue.db-wal").touch()
    os.truncate(data_of(here) / "queue.db-wal", 300 << 20)
    check = only(store.store(here), "wal")
    assert check.state == "bad" and "300 MiB" in check.found and "restart the daemon" in check.remedy


def test_a_damaged_database_is_found(box: Box) -> None:
    here = box()
    path = here.settings.database.path
    path.write_bytes(path.read_bytes()[:40960] + bytes(path.stat().st_size - 40960))
    check = only(store.store(here), "database")
    assert check.state == "bad" and "secondunit restore" in check.remedy
    path.unlink()
    assert "is gone, though there was one" in only(store.store(here), "database").found
