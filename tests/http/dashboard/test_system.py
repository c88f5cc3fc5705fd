"""The system: what the daemon runs on, what is wrong, and what it finds when it examines itself."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.daemon.monitoring.conditions import Condition
from secondunit.daemon.monitoring.health_report import HealthReport
from secondunit.queue.sentences import say
from tests.http.keys import API_KEY


async def test_it_tells_versions_disks_backup_and_sandbox(visit: Any) -> None:
    browser = await visit()
    page = await browser.open("/system")
    for said in ("yt-dlp", "2029.12.30", "deno", "missing", "9 B free", "/backups/one.db", "never", "landlock"):
        assert page.says(said), said
    assert page.says("secondunit system") and page.all("a", href="/api/system")


@pytest.mark.parametrize(("language", "title", "sentence", "remedy"), [
    ("en", "The disk is low", "3 MiB are free on the disk of DATA_DIR", "free some space"),
    ("zh-TW", "磁碟空間不足", "DATA_DIR 所在的磁碟剩餘 3 MiB", "騰出空間"),
])  # fmt: skip
async def test_what_is_wrong_has_a_title_and_a_remedy_in_the_readers_language(
    visit: Any, language: str, title: str, sentence: str, remedy: str
) -> None:
    browser = await visit(language)
    since = browser.harness.clock.now() - timedelta(hours=1)
    told = say("{n} MiB are free on the disk of {disk}", n=3, disk="DATA_DIR")
    browser.harness.health = HealthReport(
        "degraded",
        conditions=[Condition("disk_low", told, since, "free some space"), Condition("new", "a new one", since, "do")],
    )
    for path in ("/system", "/"):
        page = await browser.open(path)
        assert page.says(title) and page.says(remedy)
        assert page.says(sentence)
        assert len(page.all("span", lang="en")) == (language != "en"), "what nobody translated is marked as English"


async def test_an_admin_has_it_examine_itself(visit: Any) -> None:
    browser = await visit(api_key=API_KEY)
    await browser.sign_in(API_KEY)
    page = await browser.open("/system")
    assert page.all("a", href="/system/checks")
    page = await browser.open("/system/checks")
    assert page.says("backend bad") and page.says("it is down") and page.says("see to it")
    assert page.says("SANDBOX is off") and page.says("set SANDBOX=auto")
    reader = await browser.harness.key("read", name="reader")
    await browser.sign_in(reader["Authorization"].removeprefix("Bearer "))
    assert not (await browser.open("/system")).all("a", href="/system/checks")
    await browser.open("/system/checks", status=403)


async def test_what_it_finds_is_told_in_the_readers_language(visit: Any) -> None:
    browser = await visit("zh-TW", api_key=API_KEY)
    await browser.sign_in(API_KEY)
    page = await browser.open("/system/checks")
    assert page.says("SANDBOX 為 off") and page.says("設定 SANDBOX=auto 並重新啟動")
    assert [span.text for span in page.all("span", lang="en")] == ["it is down", "see to it"]
