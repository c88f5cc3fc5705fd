"""The system: what the daemon runs on, what is wrong, and what it finds when it examines itself."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health_report import HealthReport

KEY = "the-key-of-the-settings"


async def test_it_tells_versions_disks_backup_and_sandbox(visit: Any) -> None:
    browser = await visit()
    page = await browser.open("/system")
    for said in ("yt-dlp", "2029.12.30", "deno", "missing", "9 B free", "/backups/one.db", "never", "landlock"):
        assert page.says(said), said
    assert page.says("secondunit system") and page.all("a", href="/api/system")


@pytest.mark.parametrize(("language", "title", "remedy"), [
    ("en", "The disk is low", "free some space"),
    ("zh-TW", "磁碟空間不足", "騰出空間"),
])  # fmt: skip
async def test_what_is_wrong_has_a_title_and_a_remedy_in_the_readers_language(
    visit: Any, language: str, title: str, remedy: str
) -> None:
    browser = await visit(language)
    since = browser.harness.clock.now() - timedelta(hours=1)
    browser.harness.health = HealthReport(
        "degraded", conditions=[Condition("disk_low", "3 MiB are free", since, "free some space")]
    )
    for path in ("/system", "/"):
        page = await browser.open(path)
        assert page.says(title) and page.says(remedy)
        [sentence] = [tag for tag in page.all("p", lang="en") if "3 MiB are free" in tag.text]
        assert sentence


async def test_an_admin_has_it_examine_itself(visit: Any) -> None:
    browser = await visit(api_key=KEY)
    await browser.sign_in(KEY)
    page = await browser.open("/system")
    assert page.all("a", href="/system/checks")
    page = await browser.open("/system/checks")
    assert page.says("backend bad") and page.says("it is down") and page.says("see to it")
    reader = await browser.harness.key("read", name="reader")
    await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    assert not (await browser.open("/system")).all("a", href="/system/checks")
    await browser.open("/system/checks", status=403)
