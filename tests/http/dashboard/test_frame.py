"""The frame: what holds for every page in the table, whatever it shows."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from secondunit.daemon.dashboard import pages, texts
from secondunit.daemon.dashboard.front import POLICY
from secondunit.daemon.http.transport.problems import MEDIA_TYPE
from secondunit.daemon.monitoring.condition_kinds import KINDS

PACKAGE = Path(pages.__file__).parent
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
SHOWN = ("alt", "title", "aria-label", "placeholder")
VERBATIM = ("code", "kbd", "pre")
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
KEY = re.compile(r"""\b(?:t|t\.known|texts|visit\.texts)\(\s*f?["']([\w.]+\.?)(["'{])(\s*~)?""")
MOST = 60_000


class Faults(HTMLParser):
    """What a template may not hold: words that are not in the catalogue, and what the policy forbids."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[str] = []
        self.feed(JINJA.sub("", template))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self._open.append(tag)
        self.found += [f"{tag} {name}" for name in named if name.startswith("on") or name == "style"]
        self.found += [f"{name}={named[name]}" for name in SHOWN if re.search(r"[^\W\d_]", named.get(name) or "")]
        if tag in ("script", "style") and "src" not in named:
            self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if re.search(r"[^\W\d_]", data) and not set(self._open) & set(VERBATIM):
            self.found.append(data.strip())


def _catalogue() -> Any:
    return texts.read_catalogue()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_a_template_has_no_bare_text_and_nothing_inline(template: Path) -> None:
    assert Faults(template.read_text()).found == []


def test_bare_text_and_inline_code_are_found() -> None:
    planted = '<p title="Hi">{{ t("a") }}</p><b style="x" onclick="y">Text</b><script>1</script><code>make x</code>'
    assert Faults(planted).found == ["title=Hi", "b style", "b onclick", "Text", "script"]


def test_every_text_has_both_languages() -> None:
    english, chinese = _catalogue().values()
    assert english.keys() == chinese.keys()
    for key in english:
        assert english[key].strip() and chinese[key].strip(), key
        if not key.startswith("said."):  # of which a translation may leave out what it has no use for
            assert re.findall(r"{\w+}", english[key].rpartition("|")[2]) == re.findall(r"{\w+}", chinese[key]), key


def test_what_to_do_about_a_condition_is_said_in_both_languages() -> None:
    told = {
        key.removeprefix("remedies."): text for key, text in _catalogue()["en"].items() if key.startswith("remedies.")
    }
    assert told == {kind.word: kind.remedy for kind in KINDS}


def test_what_is_wrong_is_named_in_both_languages() -> None:
    named = {key.removeprefix("conditions.") for key in _catalogue()["en"] if key.startswith("conditions.")}
    assert named == {kind.word for kind in KINDS}


def test_every_text_that_is_asked_for_is_there_and_none_is_left_over() -> None:
    keys = set(_catalogue()["en"])
    sources = "\n".join(file.read_text() for file in [*TEMPLATES, *sorted(PACKAGE.rglob("*.py"))])
    whole = {key for key, end, joined in KEY.findall(sources) if end != "{" and not joined}
    begun = {key for key, end, joined in KEY.findall(sources) if end == "{" or joined}
    listed = set(re.findall(r'"([a-z]+(?:\.\w+)+)"', sources))
    assert whole - keys == set()
    assert {begin for begin in begun if not any(key.startswith(begin) for key in keys)} == set()
    assert {
        key for key in keys - whole - listed if not key.startswith("said.") and not key.startswith(tuple(begun))
    } == set()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-Hant-TW;q=0.4, en;q=0.5", "en"),
        ("zh-CN, en;q=0.1", "en"),
        ("de-DE, zh-hant;q=0.2", "zh-Hant"),
        ("zh-TW;q=0, en;q=nonsense", "en"),
        ("*;q=1", "en"),
    ],
)
def test_the_language_is_the_best_that_the_browser_takes(accepted: str, language: str) -> None:
    assert texts.language_of(None, accepted) == language
    assert texts.language_of("zh-Hant", accepted) == "zh-Hant", "what was chosen counts more"
    assert texts.language_of("xx", accepted) == language


def test_a_text_knows_one_from_many() -> None:
    one = texts.Texts("en", {"a": "{n} job|{n} jobs"})
    assert (one("a", n=1), one("a", n=0), one("a", n=2)) == ("1 job", "0 jobs", "2 jobs")


async def test_a_language_is_chosen_and_kept(visit: Any) -> None:
    browser = await visit("zh-TW,zh;q=0.9")
    assert (await browser.open("/types")).says("工作類型")
    page = await browser.send("/language", ("language", "en"), ("next", "/types"))
    assert browser.url == "/types" and page.says("Job types")
    assert (await browser.open("/types")).says("Job types")


async def test_every_page_opens_keeps_the_policy_and_leads_nowhere_else(visit: Any) -> None:
    browser = await visit()
    harness = browser.harness
    await harness.submit()
    posts = {route.path for route in harness.front.routes if route.method == "POST"}
    seen, left = set[str](), ["/", "/login"]
    while left:
        url = left.pop()
        seen.add(url)
        page = await browser.open(url)
        assert browser.answer.headers["Content-Security-Policy"] == POLICY
        assert browser.answer.headers["Cache-Control"] == "no-store"
        assert browser.answer.headers["Referrer-Policy"] == "same-origin", "or no form says where it is from"
        for form in page.all("form"):
            action = form.attributes.get("action", "")
            assert form.attributes.get("method") != "post" or any(_fits(path, action) for path in posts), action
        addresses = [tag.attributes[name] for name in ("href", "src") for tag in page.tags if name in tag.attributes]
        assert [address for address in addresses if not address.startswith(("/", "#"))] == [], "nothing from elsewhere"
        for address in {address.partition("#")[0] for address in addresses} - seen - {""}:
            seen.add(address)
            answer = await harness.raw("GET", address, headers={"Accept": "text/html"})
            assert answer.status == 200, (url, address)
            if answer.content_type == "text/html" and len(seen) < 200:
                left.append(address)
                seen.discard(address)
    entries = {page.path for page in harness.front.pages if page.nav and "{" not in page.path and page.own}
    assert entries <= {url.partition("?")[0] for url in seen}, "no link leads there"


def _fits(path: str, action: str) -> bool:
    return bool(re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), action))


async def test_what_a_page_loads_is_small_and_kept_for_good(visit: Any) -> None:
    browser = await visit()
    for path in ("/", "/types"):
        page = await browser.open(path)
        links = [*page.all("script"), *page.all("link"), *page.all("img")]
        addresses = {tag.attributes.get("src") or tag.attributes["href"] for tag in links}
        size = 0
        for address in addresses:
            answer = await browser.harness.raw("GET", address, headers={"Accept-Encoding": "gzip"})
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Content-Encoding"] == "gzip" and answer.headers["Vary"] == "Accept-Encoding"
            size += len(gzip.compress(await answer.read(), 9))
        assert 20_000 < size < MOST, (path, size)


async def test_a_file_that_changed_since_is_given_as_it_is_now(visit: Any) -> None:
    harness = (await visit()).harness
    answer = await harness.raw("GET", "/assets/older/app.css", headers={"Accept-Encoding": "identity"})
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-cache")
    assert (await answer.text()).startswith("/* The dashboard")
    for name in ("nothing.css", "../texts.toml", "vendor/htmx.LICENSE"):
        assert (await harness.raw("GET", f"/assets/x/{name}")).status == 404


async def test_browsers_get_refusals_as_pages_and_programs_as_json(visit: Any) -> None:
    browser = await visit()
    page = await browser.open("/nowhere", status=404)
    assert page.says("There is nothing here") and page.all("a", href="/")
    for path, headers in (("/nowhere", {}), ("/api/nowhere", {"Accept": "text/html"})):
        answer = await browser.harness.raw("GET", path, headers=headers)
        assert (answer.status, answer.content_type) == (404, MEDIA_TYPE)


async def test_what_is_vendored_is_what_its_list_says() -> None:
    import hashlib

    folder = PACKAGE / "static" / "vendor"
    told = dict(re.findall(r"\| `([\w.-]+)` \|.*\| `([0-9a-f]{64})` \|", (folder / "VENDORED.md").read_text()))
    kept = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    del kept["VENDORED.md"]
    assert kept == told
