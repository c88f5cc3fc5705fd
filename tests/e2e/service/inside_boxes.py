"""What happens inside a booted box with the Debian package: the runbooks as written, and what must be true after.

`/shared/box` says which box it is; what one box leaves for the next stands in `/shared/left.json`.
"""

import json
import re
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, "/shared")
from tests.e2e.docs.pages import DOCS, blocks
from tests.e2e.service.shell import MEDIA, SHARED, STATE, listed, of_unit, say, serving, sh, until

LEFT = SHARED / "left.json"
ITEMIZED = re.compile(r"[<>ch.*][fdLDS]|\*deleting")  # as `rsync --itemize-changes` tells what differs
EPOCHS_APART = 2**32


def runbook(page: str, box: str = "old") -> str:
    """The commands of a page for one box, each block in a shell of its own, as root in /root, and what each must show.

    What the last one said.
    """
    say(f"==== docs/runbooks/{page}.md, {box}")
    found = [
        (block.text, block.booted[1])
        for block in blocks((DOCS / "runbooks" / f"{page}.md").read_text())
        if block.booted and box in block.booted[0]
    ]
    assert found, f"{page}.md has nothing for {box}"
    told = ""
    for commands, shows in found:
        told = sh(f"cd /root\nset -euo pipefail\nexport DEBIAN_FRONTEND=noninteractive\n{commands}")
        assert shows in told, f"{page}.md: it does not show {shows!r}"
    return told


def schema() -> int:
    """The schema of the database as the newest copy has it."""
    found: int = inspected("pragma user_version")[0][0]
    return found


def inspected(question: str) -> list[Any]:
    """What a copy of the database, made now, answers."""
    copy = Path("/var/tmp/inspected.db")
    copy.unlink(missing_ok=True)
    sh(f"install -d -o secondunit {STATE}/look && secondunit backup {STATE}/look/now.db")
    sh(f"mv {STATE}/look/now.db {copy}")
    sh(f"rm -r {STATE}/look")
    connection = sqlite3.connect(f"{copy.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def waiting_job(name: str) -> str:
    """A job that waits, since its type is paused; it goes into the next copy so."""
    sh("secondunit jobs pause webp")
    body = json.dumps({"inputPath": str(MEDIA / "still.jpg"), "outputPath": str(MEDIA / f"{name}.webp")})
    return sh(f"secondunit submit webp --quiet -p '{body}'").strip().splitlines()[-1]


def leave(job: str, name: str) -> None:
    """Note for the next box what it must find."""
    [[generation]] = inspected("select value from meta where key = 'generation'")
    [[epoch]] = inspected("select max(epoch) from jobs")
    left = {"jobs": sorted(listed()), "waiting": job, "name": name, "generation": generation, "epoch": epoch}
    LEFT.write_text(json.dumps(left))
    say(f"left: {len(left['jobs'])} jobs, {left}")


def taken_over() -> None:
    """The jobs of the box before are here, nothing that it issued can write any more, and what waited there runs."""
    before: Mapping[str, Any] = json.loads(LEFT.read_text())
    until("it serves", serving)
    assert sorted(listed()) == before["jobs"] != []
    [[generation]] = inspected("select value from meta where key = 'generation'")
    [[least, most]] = inspected("select min(epoch), max(epoch) from jobs")
    say(f"found: {len(before['jobs'])} jobs, epochs {least} to {most}, generation {generation}")
    assert generation != before["generation"] and least >= EPOCHS_APART and most - EPOCHS_APART >= before["epoch"] > 0
    job = before["waiting"]
    assert '"status": "queued"' in sh(f"secondunit jobs show {job} --json")
    sh("secondunit jobs resume webp")
    until("what waited has run", lambda: '"status": "completed"' in sh(f"secondunit jobs show {job} --json"))
    assert (MEDIA / f"{before['name']}.webp").stat().st_size > 100
    assert sh(f"find {STATE} ! -user secondunit") == ""


def old() -> None:
    """Installed, used, backed up by its timer, upgraded, rolled back; its key leaked; then it is switched off."""
    Path("/mnt/elsewhere").mkdir(exist_ok=True)
    runbook("install")
    until("it serves", serving)
    shown = sh("systemd-analyze security --no-pager secondunit.service | grep Overall")
    assert float(re.findall(r": ([0-9.]+)", shown)[0]) <= 2.0, shown
    assert str(MEDIA) in sh("systemctl show --property ReadWritePaths secondunit")
    assert "apt remove" in sh("secondunit service uninstall", fails=True)
    sh("man secondunit | head -5; test -s /usr/share/bash-completion/completions/secondunit; secondunit --version")
    sh(f"install -o secondunit -m 0640 /shared/still.jpg {MEDIA}")
    sh(f"secondunit submit webp --wait -p inputPath={MEDIA}/still.jpg -p outputPath={MEDIA}/first.webp")
    timer()
    jobs, older = listed(), schema()
    runbook("upgrade")
    assert "0.2.0" in sh("dpkg -s secondunit | grep Version") and listed() == jobs and schema() > older
    runbook("roll-back")
    assert "0.1.0" in sh("dpkg -s secondunit | grep Version") and listed() == jobs and schema() == older
    runbook("key-leak")
    runbook("media-backup")
    job = waiting_job("standby")
    leave(job, "standby")
    runbook("failover", "old")
    assert of_unit("ActiveState") == "inactive" and "masked" in sh("systemctl start secondunit", fails=True)


def timer() -> None:
    """The timer itself makes a copy: it is told to elapse every few seconds for a while."""
    say("==== the backup timer")
    copies = set((STATE / "backups").glob("*.db"))
    drop_in = Path("/etc/systemd/system/secondunit-backup.timer.d/often.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Timer]\nOnCalendar=\nOnCalendar=*:*:0/5\nRandomizedDelaySec=0\nAccuracySec=1\n")
    sh("systemctl daemon-reload && systemctl restart secondunit-backup.timer")
    until("the timer has made a copy", lambda: set((STATE / "backups").glob("*.db")) - copies)
    drop_in.unlink()
    drop_in.parent.rmdir()
    sh("systemctl daemon-reload && systemctl restart secondunit-backup.timer")
    until("no copy is being made", lambda: of_unit("ActiveState", "secondunit-backup.service") == "inactive")
    assert "is whole" in sh(f"secondunit backup --verify {STATE}/backups")


def standby() -> None:
    """It has the package, stopped; it takes over, works, and gives back."""
    sh("cd /root && apt-get install -y ./secondunit_*.deb")
    sh("systemctl disable --now secondunit secondunit-backup.timer")
    runbook("failover", "standby")
    taken_over()
    leave(waiting_job("again"), "again")
    runbook("failback", "standby")


def again() -> None:
    """The old box, booted again with what it had."""
    assert "masked" in sh("systemctl is-enabled secondunit || true")
    runbook("failback", "again")
    taken_over()
    leave(waiting_job("new"), "new")
    told = runbook("media-backup", "again")
    assert not [line for line in told.splitlines() if ITEMIZED.match(line)], "rsync's copy differs"
    runbook("failover", "old")  # its copies, once more, for the box that nothing is left of


def mirror() -> None:
    """Nothing is left but the copy that rsync made elsewhere."""
    runbook("disaster-recovery", "mirror")
    taken_over()


def new() -> None:
    """Nothing is left but what lies elsewhere; then the package is removed, installed again, purged."""
    runbook("disaster-recovery", "new")
    taken_over()
    say("==== remove")
    jobs = listed()
    told = sh("apt-get remove -y secondunit 2>&1")
    assert "stay" in told and not Path("/usr/bin/secondunit").exists() and not Path("/usr/lib/secondunit").exists()
    assert of_unit("LoadState") == "not-found"
    assert (STATE / "queue.db").exists() and Path("/etc/secondunit/credentials/api_key").exists()
    sh("cd /root && apt-get install -y ./secondunit_*.deb")
    until("it serves", serving)
    assert listed() == jobs and str(MEDIA) in sh("systemctl show --property ReadWritePaths secondunit")
    say("==== purge")
    (STATE / "media").mkdir(exist_ok=True)
    (STATE / "media" / "film.mp4").write_bytes(b"film")
    told = sh("apt-get purge -y secondunit 2>&1")
    assert "are removed" in told and f"{STATE}/media stays" in told, told
    assert [path.name for path in STATE.iterdir()] == ["media"] and (STATE / "media/film.mp4").exists()
    assert (MEDIA / "new.webp").exists() and not Path("/etc/secondunit").exists()
    assert (
        sh("find /etc/systemd /usr/lib/systemd /var/lib/systemd/deb-systemd-helper-enabled -name 'secondunit*'") == ""
    )
    assert "secondunit" in sh("getent passwd secondunit")


def newer() -> None:
    """A newer Debian, with the package that was built on it and has every extra."""
    runbook("install")
    until("it serves", serving)
    sh("/usr/lib/secondunit/bin/python -P -c 'import opentelemetry.sdk, playwright, psycopg, sentry_sdk'")
    sh(f"install -o secondunit -m 0640 /shared/still.jpg {MEDIA}")
    sh(f"secondunit submit webp --wait -p inputPath={MEDIA}/still.jpg -p outputPath={MEDIA}/first.webp")
    assert str(MEDIA) in sh("systemctl show --property ReadWritePaths secondunit")


BOXES: Mapping[str, Callable[[], None]] = {
    "old": old,
    "newer": newer,
    "standby": standby,
    "again": again,
    "mirror": mirror,
    "new": new,
}


def main() -> None:
    """What this box is for."""
    box = (SHARED / "box").read_text()
    try:
        BOXES[box]()
    finally:
        sh("journalctl --no-pager -u 'secondunit*' | tail -n 120; true")
    say(f"{box}: all of it went as it should")


if __name__ == "__main__":
    main()
