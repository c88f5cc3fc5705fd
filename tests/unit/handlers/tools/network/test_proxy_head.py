"""Heads of HTTP messages as the egress proxy reads and rewrites them: what could be read in two ways is refused."""

import base64

import pytest

from secondunit.handlers.tools.network.proxy_head import BadHead, close_after, is_interim, parse_request

TOKEN = b"Proxy-Authorization: Basic " + base64.b64encode(b"job:secret") + b"\r\n"


def head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n"


def test_a_request_goes_on_with_its_path_its_own_fields_and_a_connection_that_ends() -> None:
    asked = parse_request(
        head(
            b"GET http://films.test:8080/a%20b?c=d HTTP/1.1",
            b"Host: elsewhere.test",
            b"Accept: */*",
            b"proxy-connection: keep-alive",
            b"Connection: keep-alive",
            TOKEN.strip(),
            b"TE: trailers",
        )
    )
    assert (asked.host, asked.port, asked.token, asked.body, asked.tunnel) == ("films.test", 8080, "secret", 0, False)
    line, *fields = asked.head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    assert line == b"GET /a%20b?c=d HTTP/1.1"
    assert fields == [b"Accept: */*", b"Host: films.test:8080", b"Connection: close"], "the URL says the host"


@pytest.mark.parametrize(
    ("target", "host", "port"),
    [
        (b"films.test:443", "films.test", 443),
        (b"[2001:db8::1]:8443", "2001:db8::1", 8443),
        (b"10.0.0.1:1", "10.0.0.1", 1),
    ],
)
def test_a_tunnel_leads_to_a_host_and_a_port(target: bytes, host: str, port: int) -> None:
    asked = parse_request(head(b"CONNECT " + target + b" HTTP/1.1", TOKEN.strip()))
    assert (asked.host, asked.port, asked.token, asked.tunnel) == (host, port, "secret", True)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  http://films.test/ HTTP/1.1",
        b"GET http://films.test/ HTTP/2",
        b"GET http://films.test/",
        b"G\tET http://films.test/ HTTP/1.1",
        b"GET /path HTTP/1.1",
        b"GET https://films.test/ HTTP/1.1",
        b"GET ftp://films.test/ HTTP/1.1",
        b"GET http:///path HTTP/1.1",
        b"GET http://films.test:0/ HTTP/1.1",
        b"GET http://films.test:99999/ HTTP/1.1",
        b"GET http://\xff/ HTTP/1.1",
        b"CONNECT films.test HTTP/1.1",
        b"CONNECT films.test:0 HTTP/1.1",
        b"CONNECT user@films.test:443 HTTP/1.1",
        b"CONNECT films.test:443/path HTTP/1.1",
        b"CONNECT http://films.test:443 HTTP/1.1",
        b"",
    ],
)
def test_a_line_that_asks_for_nothing_we_serve_is_refused(line: bytes) -> None:
    with pytest.raises(BadHead) as refused:
        parse_request(head(line, TOKEN.strip()))
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (b"No colon", 400),
        (b"Name : value", 400),
        (b" folded: value", 400),
        (b": value", 400),
        (b"A: b\rC: d", 400),
        (b"A: b\nC: d", 400),
        (b"A: b\0", 400),
        (b"Transfer-Encoding: chunked", 411),
        (b"transfer-encoding: identity", 411),
        (b"Content-Length: -1", 400),
        (b"Content-Length: +1", 400),
        (b"Content-Length: 1, 1", 400),
        (b"Content-Length: 9999999999999999999", 400),
        (b"Content-Length:", 400),
    ],
)
def test_a_field_that_two_readers_could_read_in_two_ways_is_refused(field: bytes, status: int) -> None:
    with pytest.raises(BadHead) as refused:
        parse_request(head(b"POST http://films.test/ HTTP/1.1", field))
    assert refused.value.status == status


def test_lengths_that_agree_are_one_and_others_are_refused() -> None:
    line = b"POST http://films.test/ HTTP/1.1"
    assert parse_request(head(line, b"Content-Length: 7", b"content-length: 7")).body == 7
    with pytest.raises(BadHead, match="not a length"):
        parse_request(head(line, b"Content-Length: 7", b"Content-Length: 8"))


@pytest.mark.parametrize(
    ("field", "token"),
    [
        (b"Proxy-Authorization: basic " + base64.b64encode(b":s:t"), "s:t"),
        (b"Proxy-Authorization: Bearer secret", None),
        (b"Proxy-Authorization: Basic not base64", None),
        (b"Proxy-Authorization: Basic " + base64.b64encode(b"\xff:\xfe"), None),
        (b"Proxy-Authorization: Basic " + base64.b64encode(b"nocolon"), ""),
        (b"Authorization: Basic " + base64.b64encode(b"a:b"), None),
    ],
)
def test_the_token_is_the_password_of_basic_and_nothing_else(field: bytes, token: str | None) -> None:
    assert parse_request(head(b"GET http://films.test/ HTTP/1.1", field)).token == token


def test_an_answer_says_that_its_connection_ends_with_it_whatever_the_server_said() -> None:
    told = close_after(
        head(b"HTTP/1.1 200 OK", b"Content-Length: 3", b"CONNECTION : keep-alive", b"Keep-Alive: timeout=5")
    )
    assert told == head(b"HTTP/1.1 200 OK", b"Content-Length: 3", b"Connection: close")


@pytest.mark.parametrize(
    ("line", "interim"),
    [(b"HTTP/1.1 100 Continue", True), (b"HTTP/1.1 103", True), (b"HTTP/1.1 200 OK", False), (b"NOHTTP 100", False)],
)
def test_an_answer_of_the_hundreds_is_followed_by_another(line: bytes, interim: bool) -> None:
    assert is_interim(head(line)) is interim
