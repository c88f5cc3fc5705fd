"""What happens inside the booted container, as root: standard library only, everything it runs is in its output."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, "/shared")
from tests.e2e.service.shell import MEDIA, SHARED, STATE, asked, completed, listed, of_unit, say, serving, sh, until

CONFIG, CREDENTIALS = Path("/etc/secondunit/config.toml"), Path("/etc/secondunit/credentials")
CHECKOUT = Path("/opt/secondunit")
SITE, GEMINI, GEOCODER = 9001, 9002, 9003
SETTINGS = f"""
media_roots = ["{MEDIA}"]
allow_private_addresses = ["127.0.0.0/8"]
gemini_base_url = "http://127.0.0.1:{GEMINI}"
geocoder_url = "http://127.0.0.1:{GEOCODER}"

[deploy.site]
repo_url = "file:///srv/upstream"
trusted = true
directory = "/srv/site"
build_command = "cp page built"

[deploy.slow]
repo_url = "file:///srv/upstream"
trusted = true
directory = "/srv/slow"
build_command = ["sh", "-c", "sleep 20; cp page built"]
"""
PAGE = """<html><head><title>film</title></head><body><video src="/clip.mp4">
<track kind="subtitles" srclang="en" src="/film.vtt"></video></body></html>"""
SUBTITLES = """WEBVTT

00:00.000 --> 00:04.000
Now we come to Taipei 101.
"""


def section(title: str, *, without: str = "\0") -> str:
    """The commands of a section of the README, one by one, as written; what they say."""
    say(f"==== systemd/README.md, {title}")
    lines = (SHARED / f"{title}.sh").read_text().splitlines()
    return "".join(sh(line) for line in lines if without not in line)


def stand_ins() -> list[subprocess.Popen[bytes]]:
    """A website, Gemini and a geocoder, on loopback; a repository to deploy from."""
    site, upstream = Path("/srv/www"), Path("/srv/upstream")
    site.mkdir()
    shutil.copy(CHECKOUT / "examples/media/clip.mp4", site)
    (site / "film.html").write_text(PAGE)
    (site / "film.vtt").write_text(SUBTITLES)
    upstream.mkdir()
    (upstream / "page").write_text("hello")
    sh(
        "cd /srv/upstream && git init -q -b main && git add page"
        " && git -c user.name=t -c user.email=t@example.com commit -q -m page && chown -R secondunit: ."
    )
    fake = [str(CHECKOUT / ".venv/bin/python"), "-P", "-m"]
    return [
        subprocess.Popen(["python3", "-m", "http.server", "--bind", "127.0.0.1", "-d", str(site), str(SITE)]),
        subprocess.Popen([*fake, "secondunit.testing.fakes.gemini", "--port", str(GEMINI)]),
        subprocess.Popen([*fake, "secondunit.testing.fakes.nominatim", "--port", str(GEOCODER)]),
    ]


def who_may() -> None:
    """The command line finds the service, for root and its user; others are told what to do."""
    say("==== who may use it")
    assert "daemon" not in sh("cd /tmp && secondunit jobs list")
    sh("cd /tmp && runuser -u secondunit -- secondunit jobs list")
    assert "safe: no job runs" in sh("secondunit check")
    assert str(STATE) in sh("secondunit config show | grep DATA_DIR")
    for command in ("jobs list", "check", "backup /tmp/x.db", "recover --dry-run"):
        told = sh(f"cd /tmp && runuser -u nobody -- secondunit {command}", fails=True)
        assert "sudo" in told and "secondunit run" not in told, told
    sh(f"chmod o+r {CONFIG}")  # then it is the socket that says no
    told = sh("runuser -u nobody -- secondunit jobs list", fails=True)
    assert f"{STATE} belongs to secondunit" in told and "sudo" in told, told
    sh(f"chmod o-r {CONFIG}")
    assert "only root" in sh("runuser -u nobody -- secondunit service uninstall", fails=True)


def configured() -> None:
    """Settings, a secret and media folders, as the README says."""
    say("==== settings")
    with CONFIG.open("a") as file:
        file.write(SETTINGS)
    (CREDENTIALS / "gemini_api_key").write_text("a-key-of-nobody\n")
    (CREDENTIALS / "gemini_api_key").chmod(0o600)
    told = sh("secondunit service install")
    assert f"keep     {CONFIG}" in told
    advised = re.findall(r"missing: .*; `(.*)` makes it", told)
    assert len(advised) == 3, told
    for command in advised:
        sh(command)
    section("settings")
    until("it serves", serving)
    assert "***" in sh("secondunit config show | grep GEMINI_API_KEY")
    sh("secondunit service status")


def job_types() -> None:
    """One job of each type."""
    say("==== job types")
    clip = MEDIA / "clip.mp4"
    sh(f"install -o secondunit -m 0640 {CHECKOUT}/examples/media/clip.mp4 {CHECKOUT}/examples/media/still.jpg {MEDIA}")
    completed("thumbnail", videoPath=str(clip), outputPath=str(MEDIA / "clip.jpg"))
    completed("webp", inputPath=str(MEDIA / "still.jpg"), outputPath=str(MEDIA / "still.webp"))
    completed("hls", inputPath=str(clip), outputDir=str(MEDIA / "film"))
    completed("download", url=f"http://127.0.0.1:{SITE}/clip.mp4", outputPath=str(MEDIA / "fetched.mp4"))
    completed("analyze", videoPath=str(clip))
    found = completed("locations", videoUrl=f"http://127.0.0.1:{SITE}/film.html")
    assert "Taipei 101" in json.dumps(found)
    completed("deploy", projectId="site")
    assert Path("/srv/site/current/built").read_text() == "hello"
    sh(f"ls -la {MEDIA} {MEDIA}/film")


def backed_up() -> None:
    """A copy by the timer's unit, restored; root leaves nothing of root's behind."""
    jobs = listed()
    section("backups")
    until("it serves", serving)
    assert listed() == jobs != []
    assert "secondunit-backup.service" in sh("systemctl list-timers --no-pager secondunit-backup.timer")
    sh("systemctl stop secondunit")
    sh(f"secondunit backup {STATE}/backups")
    assert listed() == jobs
    assert "systemctl start secondunit" in sh("secondunit run", fails=True)
    assert "systemctl start secondunit" in sh("secondunit jobs pause hls", fails=True)
    sh("systemctl start secondunit-backup.service")  # where no daemon runs, under the lock
    assert sh(f"find {STATE} ! -user secondunit") == ""
    sh("systemctl start secondunit")
    until("it serves", serving)


def examined() -> None:
    """Doctor finds nothing bad where all is well, finds what the account may not, and leaves nothing of root's."""
    say("==== doctor")
    told = sh("secondunit doctor")
    assert "the running daemon" in told and "the key is taken" in told and "verified" in told, told
    assert "sudo" in sh("cd /tmp && runuser -u nobody -- secondunit doctor")
    owner = MEDIA.owner()
    sh(f"chown root: {MEDIA}")
    assert f"{MEDIA} can't be read by user" in sh("secondunit doctor", fails=True)
    sh(f"chown {owner}: {MEDIA}")
    sh("systemctl stop secondunit")
    told = sh("secondunit doctor")
    assert "no daemon runs" in told and "/etc/systemd/system/secondunit.service" in told, told
    assert sh(f"find {STATE} ! -user secondunit") == ""
    sh("systemctl start secondunit")
    until("it serves", serving)
    sh("test -s /usr/local/share/man/man1/secondunit.1")


def drained() -> None:
    """A running job ends before the daemon does."""
    say("==== drain")
    job = sh("secondunit submit deploy --quiet -p projectId=slow").strip()
    until("the job runs", lambda: asked(f"/api/jobs/{job}")["status"] == "running")
    began = time.monotonic()
    sh("systemctl stop secondunit")
    say(f"stopped after {time.monotonic() - began:.1f} s")
    assert of_unit("Result") == "success" and of_unit("ExecMainStatus") == "0"
    assert Path("/srv/slow/current/built").exists()
    assert "completed" in sh(f"secondunit jobs show {job}")
    sh("systemctl start secondunit")


def watched() -> None:
    """A daemon whose loop does not turn is ended and started again by systemd."""
    say("==== watchdog")
    before = of_unit("MainPID")
    began = time.monotonic()
    sh(f"kill -STOP {before}")
    until("another daemon runs", lambda: of_unit("MainPID") not in ("0", before) and of_unit("ActiveState") == "active")
    say(f"restarted by systemd after {time.monotonic() - began:.1f} s")
    assert "Watchdog timeout" in sh("journalctl -u secondunit --no-pager | grep -i watchdog")
    until("it serves", serving)
    completed("webp", inputPath=str(MEDIA / "still.jpg"), outputPath=str(MEDIA / "after.webp"))


def upgraded() -> None:
    """A new version with another unit: what is the operator's stays."""
    say("==== upgrade")
    drop_in = Path("/etc/systemd/system/secondunit.service.d/override.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nUMask=0027\n")
    settings, pid = CONFIG.read_text(), of_unit("MainPID")
    unit = "sed -i 's/^Description=.*/Description=the next version/' systemd/secondunit.service"
    sh(f"cd {SHARED}/origin && {unit} && git -c user.name=t -c user.email=t@example.com commit -q -a -m next")
    told = section("upgrade")
    assert "update   /etc/systemd/system/secondunit.service" in told and "systemctl restart secondunit" in told
    until("it serves", serving)
    assert of_unit("Description") == "the next version" and of_unit("UMask") == "0027" and of_unit("MainPID") != pid
    assert CONFIG.read_text() == settings and "as it is" in sh("secondunit service install")
    sh("secondunit service status")


def removed() -> None:
    """Gone, but for what is the operator's; then that, too."""
    section("remove")
    assert of_unit("LoadState") == "not-found" or of_unit("ActiveState") == "inactive"
    assert not Path("/etc/systemd/system/secondunit.service").exists()
    assert CONFIG.exists() and (STATE / "queue.db").exists()
    sh("systemctl --no-pager list-units 'secondunit*' && test ! -e /run/systemd/system/secondunit.service")
    section("install", without="status")
    until("it serves", serving)
    assert listed() != []
    sh("systemctl stop secondunit")
    sh("secondunit keys add monitor --scope read")
    assert sh(f"find {STATE} ! -user secondunit") == ""
    sh("systemctl start secondunit")
    until("it serves", serving)
    assert "monitor" in sh("secondunit keys list")
    sh("echo n | secondunit service uninstall --purge", fails=True)
    assert serving()
    sh("secondunit service uninstall --purge --yes")
    assert not STATE.exists() and not CONFIG.parent.exists() and (MEDIA / "film").exists()


def main() -> None:
    """Everything, in the order in which an operator meets it."""
    say(f"booted: {Path('/etc/os-release').read_text().splitlines()[0]}")
    say(f"PID 1 has run for {time.time() - Path('/proc/1').stat().st_ctime:.1f} s")
    sh("systemctl --version | head -1; ps -p 1 -o comm=; ls -d /etc/sysusers.d || true")
    sh("git config --system --add safe.directory '*'")  # the checkout belongs to who runs the test outside
    section("install")
    until("it serves", serving)
    sh("systemd-analyze security --no-pager secondunit.service secondunit-backup.service | grep Overall || true")
    sh(f"ls -la {CONFIG.parent}")
    assert CONFIG.stat().st_mode & 0o777 == 0o640 and CREDENTIALS.stat().st_mode & 0o777 == 0o700
    helpers = stand_ins()
    try:
        for part in (who_may, configured, job_types, backed_up, examined, drained, watched, upgraded, removed):
            part()
    finally:
        sh("journalctl --no-pager -u 'secondunit*' | tail -n 300; true")
        for helper in helpers:
            helper.kill()
    say("all of it went as it should")


if __name__ == "__main__":
    main()
