"""Strategies of hypothesis: requests that are whole and mean odd things, and bytes that are hardly requests."""

import json
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.wire import Call

HOST = ("Host", "localhost")
ODD_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "",
        " ",
        ".",
        "..",
        "../..",
        "%2e%2e%2f",
        "\x00",
        "\ud800",
        "é",
        "日本",
        "a" * 5000,
        "'",
        '"',
        "{}",
        "[]",
        "null",
        "-1",
        "1e400",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63), 2**64, 10**400, 0.1, -0.0, 1e308])
    | ODD_TEXT
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_TEXT, inner, max_size=3), max_leaves=8
)
# Header values may be any of Latin-1 but its controls.
VALUES = st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "S", "Zs"]), max_size=60).map(str.strip)
LATIN = re.compile(r"[ -~\xa0-\xff]*").fullmatch
NUMBERS = st.integers(-2, 5000).map(str) | st.sampled_from(["", "0", "-0", "9" * 30, "1e3", "0x10", "٣", "1 "])
RANGES = st.one_of(
    st.builds("{}={}-{}".format, st.sampled_from(["bytes", "BYTES", "Bytes", "seconds", ""]), NUMBERS, NUMBERS),
    st.lists(st.builds("{}-{}".format, NUMBERS, NUMBERS), min_size=2, max_size=40).map(
        lambda some: "bytes=" + ",".join(some)
    ),
    VALUES,
).filter(LATIN)
EVENT_IDS = st.one_of(
    st.builds("{}-{}".format, st.sampled_from(["", "g1", "-", "a-b"]), NUMBERS),
    st.builds("{}.{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["", "x", "b1"])),
    VALUES,
).filter(LATIN)
SCHEMES = st.sampled_from(["http", "https", "HTTP", "file", "ftp", "gopher", "data", "javascript", "", "http:", "s3"])
HOSTS = st.sampled_from(
    [
        "example.com", "localhost", "127.0.0.1", "127.1", "0", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]",
        "[", "]", "169.254.169.254", "10.0.0.1", "192.0.2.1", "xn--", "ａ.com", "a..b", "-", "", "user:pw@example.com",
        "example.com:99999", "example.com:", "example.com:0", "a" * 300, "[fe80::1%25eth0]", "%31%32%37.0.0.1",
    ]
)  # fmt: skip
URLS = st.builds("{}://{}/{}".format, SCHEMES, HOSTS, ODD_TEXT) | ODD_TEXT
IDS = st.one_of(
    st.just("job_" + "a" * 26),
    st.text(string.ascii_lowercase + string.digits, min_size=26, max_size=26).map("job_{}".format),
    st.text(max_size=20),
)
SEGMENTS = st.one_of(
    st.text(max_size=20), st.sampled_from(["..", ".", "%00", "%2f", "%", "%zz", "a" * 4000, "*", "\\", ";a=b"])
)
JSON_CALLS = (
    "/api/jobs", "/api/jobs/batch", "/api/jobs/retry", "/api/jobs/cancel", "/api/videos/analyze", "/api/admin/recover",
    "/analyze-from-url",
)  # fmt: skip
ODD_HEADERS = st.sampled_from(
    [
        ("Expect", "100-continue"), ("Expect", "200-ok"), ("Content-Encoding", "gzip"), ("Content-Encoding", "br"),
        ("Content-Encoding", "identity, gzip"), ("Accept-Encoding", "gzip;q=9"), ("Accept-Encoding", "*;q=0"),
        ("Prefer", "respond-async"), ("Origin", "http://evil.example"), ("X-Forwarded-For", "1.2.3.4"),
        ("Via", "1.1 x"), ("If-None-Match", '"a"'), ("If-Match", "*"), ("If-Modified-Since", "yesterday"),
        ("If-Range", 'W/"a"'),
        ("Idempotency-Key", "a b"), ("Idempotency-Key", "a" * 256), ("Connection", "close"), ("Connection", "upgrade"),
        ("Upgrade", "h2c"), ("Upgrade", "websocket"), ("TE", "trailers"), ("Cookie", "a=b; =; ;"),
        ("Accept", "text/html;q=x"), ("Authorization", "Bearer"), ("Authorization", "Basic !!!"), ("Max-Forwards", "0"),
    ]
)  # fmt: skip


def targets(document: Mapping[str, Any], jobs: Sequence[str]) -> st.SearchStrategy[str]:
    """Paths of the document, their parameters filled in, with and without a query, and paths of nothing."""
    filled = st.sampled_from(sorted(document["paths"])).flatmap(lambda path: _filled(path, jobs))
    nowhere = st.lists(SEGMENTS, max_size=4).map(lambda some: "/" + "/".join(map(_quoted, some)))
    names = ["status", "type", "limit", "cursor", "jobId", "lastEventId", "token", "timeout", "strategy", "language"]
    pair = st.builds("{}={}".format, st.sampled_from(names), (NUMBERS | SEGMENTS | ODD_TEXT).map(_quoted))
    query = st.lists(pair, max_size=3).map("&".join)
    return st.builds(lambda path, asked: f"{path}?{asked}" if asked else path, filled | nowhere, query | st.just(""))


def calls(document: Mapping[str, Any], jobs: Sequence[str], key: str) -> st.SearchStrategy[Call]:
    """Whole requests of any method to any target, with odd headers."""
    methods = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
    headers = st.lists(ODD_HEADERS, max_size=3, unique_by=lambda pair: pair[0])
    return st.builds(
        lambda method, target, more, keyed: Call(method, target, [HOST, *more, *keyed]),
        methods, targets(document, jobs), headers, st.sampled_from([[], [("X-API-Key", key)]]),
    ).filter(_ends)  # fmt: skip


def bodies(types: Mapping[str, Any], key: str) -> st.SearchStrategy[Call]:
    """Posts of JSON: submits that are nearly right, and anything."""
    submit = st.sampled_from(sorted(types)).flatmap(lambda type: _nearly({"type": type, "payload": types[type]}))
    whole = st.one_of(
        submit, st.lists(submit, min_size=1, max_size=3).map(lambda some: {"jobs": some}), JSON, _fields()
    )
    text = whole.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60) | _odd_json()
    head = [HOST, ("X-API-Key", key), ("Content-Type", "application/json")]
    return st.builds(lambda path, body: Call("POST", path, head, body or b" "), st.sampled_from(JSON_CALLS), text)


def addresses(key: str) -> st.SearchStrategy[Call]:
    """Submits whose URLs are odd: a callback's, and those that a job fetches."""
    places = st.sampled_from(
        [
            lambda url: {"type": "sleep", "payload": {}, "callback": url},
            lambda url: {"type": "download", "payload": {"url": url, "outputPath": "/nowhere/a"}},
            lambda url: {"type": "analyze", "payload": {"videoUrl": url}},
            lambda url: {"type": "locations", "payload": {"videoUrl": url}},
        ]
    )
    head = [HOST, ("X-API-Key", key), ("Content-Type", "application/json")]
    return st.builds(lambda made, url: Call("POST", "/api/jobs", head, json.dumps(made(url)).encode()), places, URLS)


def ranges(target: str, key: str) -> st.SearchStrategy[Call]:
    """Requests for parts of a file."""
    conditions = st.lists(
        st.tuples(
            st.sampled_from(["If-Range", "If-Match", "If-None-Match", "If-Unmodified-Since"]), VALUES | st.just('"a"')
        ),
        max_size=1,
    )
    head = [HOST, ("X-API-Key", key)]
    return st.builds(
        lambda method, value, more: Call(method, target, [*head, ("Range", value), *more]),
        st.sampled_from(["GET", "HEAD"]), RANGES, conditions,
    )  # fmt: skip


def streams(job: str, key: str) -> st.SearchStrategy[Call]:
    """Readers of events that come back with an odd id."""
    places = st.sampled_from(["/api/events", f"/api/jobs/{job}/stream"])
    head = [HOST, ("X-API-Key", key)]
    by_header = st.builds(lambda path, id: Call("GET", path, [*head, ("Last-Event-ID", id)]), places, EVENT_IDS)
    by_query = st.builds(
        lambda path, id: Call("GET", f"{path}?lastEventId={_quoted(id)}", head), places, EVENT_IDS | ODD_TEXT
    )
    return by_header | by_query


def mangled(whole: st.SearchStrategy[Call]) -> st.SearchStrategy[bytes]:
    """Bytes that were a request before something was cut out of them, put in or changed."""
    pieces = st.binary(max_size=8) | st.sampled_from(
        [
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b" ",
            b":",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"\xff",
            b"HTTP/1.0",
        ]
    )
    return st.builds(
        _mangled, whole, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20), pieces), min_size=1, max_size=3)
    )


def _mangled(call: Call, changes: Sequence[tuple[float, int, bytes]]) -> bytes:
    sent = call.encoded()
    for where, cut, put in changes:
        at = int(where * len(sent))
        sent = sent[:at] + put + sent[at + cut :]
    return sent


def _filled(path: str, jobs: Sequence[str]) -> st.SearchStrategy[str]:
    ids = st.sampled_from(jobs) | IDS.map(_quoted) | SEGMENTS.map(_quoted)
    count = path.count("{")
    return st.lists(ids.filter(bool), min_size=count, max_size=count).map(lambda values: _format(path, values))


def _format(path: str, values: Sequence[str]) -> str:
    parts = iter(values)
    return "/".join(next(parts) if part.startswith("{") else part for part in path.split("/"))


def _nearly(value: Any) -> st.SearchStrategy[Any]:
    """This object, with one of its fields, however deep, as something else."""
    names = sorted(value)
    fields = ["priority", "callback", "retryPolicy", "runAt", "timeoutSeconds", "dependsOn", "payload", "x", *names]
    change = st.dictionaries(st.sampled_from(fields), JSON, max_size=2)
    inner = st.dictionaries(st.sampled_from(sorted(value["payload"]) or ["x"]), JSON, max_size=2)
    return st.builds(lambda some, deep: {**value, "payload": {**value["payload"], **deep}, **some}, change, inner)


def _fields() -> st.SearchStrategy[Any]:
    names = st.sampled_from(
        ["filter", "ids", "jobs", "status", "url", "video_url", "urls", "params", "epoch", "language"]
    )
    return st.dictionaries(names, JSON, max_size=3) | st.builds(
        lambda inner: {"filter": inner}, st.dictionaries(names, JSON)
    )


def _odd_json() -> st.SearchStrategy[bytes]:
    return st.sampled_from(
        [
            b"NaN", b'{"a": Infinity}', b'{"type": "hls", "type": "webp", "payload": {}}', b"[" * 3000, b'{"a":' * 3000,
            b'"\\ud800"', b"\xef\xbb\xbf{}", b'{"payload": "\xff"}', "{}".encode("utf-16"), b"1" * 5000, b"{} {}",
            b"\0",
        ]
    )  # fmt: skip


def _quoted(text: str) -> str:
    """Percent-encoded where a target could not hold it; half of a surrogate pair as what it would be in UTF-8."""
    kept = string.ascii_letters + string.digits + "-._~%:@!$'()*;=\\"
    return "".join(
        c if c in kept else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "surrogatepass")) for c in text
    )


def _ends(call: Call) -> bool:
    """Whether its answer does: streams have strategies of their own, and a body that is announced has to come."""
    return not call.path.endswith(("/events", "/stream"))
