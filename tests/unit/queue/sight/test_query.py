"""The query language: what a text asks for, and which word is named when it can't be read."""

from datetime import timedelta
from typing import Any

import pytest

from secondunit.queue.errors import BadPayload
from secondunit.queue.model import Filter, Term
from secondunit.queue.sight.query import LONGEST_QUERY, MOST_TERMS, fits, searched, terms_of
from secondunit.testing.jobs import NOW, later, new


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("  film  ", [Term("word", ("film",))]),
        ('"two words" -not', [Term("word", ("two words",)), Term("word", ("not",), True)]),
        ("type:hls", [Term("type", ("hls",))]),
        ("type:hls,webp -status:failed", [Term("type", ("hls", "webp")), Term("status", ("failed",), True)]),
        ("status:failed x status:cancelled", [Term("status", ("failed", "cancelled")), Term("word", ("x",))]),
        ("-type:a -type:b", [Term("type", ("a",), True), Term("type", ("b",), True)]),
        ('by:"schedule nightly"', [Term("by", ("schedule nightly",))]),
        ("class:timeout key:k,1", [Term("class", ("timeout",)), Term("key", ("k,1",))]),
        ("https://a.org/x?y=1", [Term("word", ("https://a.org/x?y=1",))]),
        ("url:https://a.org path:/media/in", [Term("url", ("https://a.org",)), Term("path", ("/media/in",))]),
        ("00:01:02", [Term("word", ("00:01:02",))]),
        ('"type:hls"', [Term("word", ("type:hls",))]),
        ("since:2h", [Term("since", (), at=NOW - timedelta(hours=2))]),
        ("until:2030-01-02", [Term("until", (), at=later(86400))]),
        ("since:2030-01-01T02:00:00+02:00", [Term("since", (), at=NOW)]),
    ],
)  # fmt: skip
def test_a_query_is_its_terms(text: str, terms: list[Term]) -> None:
    assert list(terms_of(text, NOW)) == terms


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour:red x", "`colour:red`: there is no key colour; known are type, status"),
        ("Type:hls", "`Type:hls`: there is no key Type"),
        ("status:done", "`status:done`: done is no status; known are queued, running"),
        ("class:bad", "`class:bad`: bad is no class; known are transient"),
        ("since:yesterday", "`since:yesterday`: should be a time"),
        ("since:999999d", "`since:999999d`: is before all time"),
        ("since:0001-01-01T00:00:00+14:00", "`since:0001-01-01T00:00:00+14:00`: should be a time"),
        ('x "two words', '`"two`: a quotation mark opens and closes a word'),
        ('"a"b', '`"a"b`: a quotation mark'),
        ("type: x", "`type:`: has nothing to look for"),
        ("type:, x", "`type:,`: has nothing to look for"),
        ("- x", "`-`: has nothing to look for"),
        ('""', '`""`: has nothing to look for'),
        ("x" * (LONGEST_QUERY + 1), f"is {LONGEST_QUERY + 1} characters long"),
        ("x " * (MOST_TERMS + 1), f"has {MOST_TERMS + 1} terms"),
        ("a\ud800", "half a character"),
    ],
)
def test_the_word_that_can_not_be_read_is_named(text: str, named: str) -> None:
    with pytest.raises(BadPayload) as refused:
        terms_of(text, NOW)
    [fault] = refused.value.errors
    assert (fault.field, named in fault.message) == ("q", True)


def held(text: str, payload: Any = None, searchable: Any = None, **fields: Any) -> bool:
    job = new("j", payload=payload or {"inputPath": "/media/Über/Film 1.mp4", "url": "https://a.org/x"}, **fields).job
    return fits(job, terms_of(text, NOW), {"hls": []} if searchable is None else searchable)


def test_words_are_looked_for_in_the_payload_whatever_their_case() -> None:
    assert held("film") and held('"film 1" über MP4') is False and held('"film 1" Über MP4')
    assert not held("film -mp4")


def test_a_whole_beginning_of_a_path_or_url_is_one() -> None:
    assert held("path:/media") and held("path:film") and not held("path:/Film")
    assert held("url:https://a.org") and not held("url:http://a.org") and held("url:a.org")


def test_a_secret_is_never_found() -> None:
    payload = {"url": "https://a.org", "cookies": "session=hidden"}
    assert held("hidden", payload)
    assert not held("hidden", payload, {"hls": ["cookies"]}) and held("a.org", payload, {"hls": ["cookies"]})
    assert not held("a.org", payload, {"webp": []}), "nobody vouches for this type"


def test_a_filter_without_a_query_stays_as_it_is() -> None:
    assert searched(Filter(types=["hls"]), None, NOW, {"hls": []}) == Filter(types=["hls"])
