"""The judge of addresses: every spelling of a private address is refused, public ones and allowed networks pass."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from secondunit.handlers.tools.network.addresses import LONGEST_URL, AddressRule, check_url, url_fault
from secondunit.queue.errors import BadPayload

LONGEST_FAULT = 500
PUBLIC_ONLY = AddressRule()
HOME = AddressRule((ip_network("192.168.0.0/16"), ip_network("127.0.0.0/8")))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.0.170",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "5f00::1",
        "2001:db8::1",
        "2001:2::1",
        "2001:10::1",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
        "4000::1",
    ],
)
def test_a_special_address_is_refused(address: str) -> None:
    assert PUBLIC_ONLY.judge(address) is not None


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4001::200e",
    ],
)
def test_a_public_address_passes(address: str) -> None:
    assert PUBLIC_ONLY.judge(address) is None


@pytest.mark.parametrize(
    ("wrapper", "verdict_of"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::ffff:8.8.8.8", None),
        ("2002:7f00:1::", "127.0.0.1"),
        ("2002:808:808::1", None),
        ("64:ff9b::169.254.169.254", "169.254.169.254"),
        ("64:ff9b::8.8.8.8", None),
        ("64:ff9b::224.0.0.1", "224.0.0.1"),
        ("2001:0:808:808:0:0:f5ff:fffe", "10.0.0.1"),
        ("2001:0:a00:1:0:0:f7f7:f7f7", "10.0.0.1"),
        ("2001:0:808:808:0:0:f7f7:f7f7", None),
    ],
)
def test_an_embedded_address_is_judged_in_place_of_its_wrapper(wrapper: str, verdict_of: str | None) -> None:
    reason = PUBLIC_ONLY.judge(wrapper)
    assert (reason is None) == (verdict_of is None)
    if verdict_of is not None:
        assert reason is not None and verdict_of in reason and str(IPv6Address(wrapper)) in reason


def test_an_allowed_network_may_be_reached_and_nothing_beside_it() -> None:
    assert HOME.judge("192.168.7.9") is None
    assert HOME.judge("::ffff:192.168.7.9") is None
    assert HOME.judge("10.0.0.1") is not None


def test_both_loopback_addresses_are_one_place() -> None:
    assert HOME.judge("::1") is None
    assert AddressRule((ip_network("::1/128"),)).judge("127.0.0.1") is None
    assert AddressRule((ip_network("::1/128"),)).judge("127.0.0.2") is not None
    assert AddressRule((ip_network("127.0.0.2/32"),)).judge("::1") is not None


def test_text_that_is_no_address_is_refused() -> None:
    assert PUBLIC_ONLY.judge("example.com") is not None
    assert PUBLIC_ONLY.judge("") is not None


@given(st.ip_addresses(v=4))
def test_wrapping_an_address_never_changes_the_verdict(inner: IPv4Address) -> None:
    verdict = PUBLIC_ONLY.judge(inner) is None
    number = int(inner)
    for wrapper in (0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert (PUBLIC_ONLY.judge(IPv6Address(wrapper)) is None) == verdict


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "0X7F000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "①②⑦.⓪.⓪.①",
        "１２７.0.0.1",
        "127。0。0。1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1%25eth0]",
        "[fd00:ec2::254]",
        "169.254.169.254",
        "10.0.0.1:8080",
    ],
)
def test_a_private_literal_in_any_spelling_is_refused_naming_the_setting(host: str) -> None:
    with pytest.raises(BadPayload) as refusal:
        check_url("callback", f"http://{host}/hook", PUBLIC_ONLY)
    (error,) = refusal.value.errors
    assert error.field == "callback"
    assert "ALLOW_PRIVATE_ADDRESSES" in error.message


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.mp4",
        "https://example.com:8443/a%20b?x=1#frag",
        "https://bücher.example/",
        "http://under_score.example/",
        "http://example.com./",
        "http://8.8.8.8/",
        "http://[2606:4700:4700::1111]:8080/",
        "HTTPS://EXAMPLE.COM",
        "http://10.example.com/",
        "http://localhost:3000/",
    ],
)
def test_an_ordinary_url_passes_and_with_a_name_and_password_does_not(url: str) -> None:
    check_url("url", url, PUBLIC_ONLY)
    assert url_fault(url, PUBLIC_ONLY) is None
    scheme, _, rest = url.partition("://")
    with pytest.raises(BadPayload) as refusal:
        check_url("url", f"{scheme}://user:word@{rest}", PUBLIC_ONLY)
    (error,) = refusal.value.errors
    assert error.field == "url" and "password" in error.message and "word@" not in error.message


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "http://"),
        ("example.com/a.mp4", "http://"),
        ("/etc/passwd", "http://"),
        ("file:///etc/passwd", "http://"),
        ("ftp://example.com/", "http://"),
        ("gopher://example.com/", "http://"),
        ("--exec=x", "http://"),
        ("http:///path", "no host"),
        ("http://:80/", "not a URL"),
        ("http://example.com:99999/", "not a URL"),
        ("http://user@example.com/", "user name"),
        ("http://user:secret@example.com/", "user name"),
        ("http://:secret@example.com/", "user name"),
        ("http://a:secret@ex\u2100mple.com:x/", "not a URL"),
        ("http://example.com/\r\nHost: x", "control"),
        ("http://example.com/\x00", "control"),
        ("http://example.com/a b", "blanks"),
        ("http://example.com/\ud800", "control"),
        ("http://exa%6dple.com/", "not a name"),
        ("http://" + "a." * 200 + "com/", "not a name"),
        ("http://exam\\ple.com@evil/", "backslash"),
        ("http://134744072/", "8.8.8.8"),
        ("http://example.com/" + "a" * LONGEST_URL, "characters"),
    ],
)
def test_a_url_that_is_none_or_hides_something_is_refused(url: str, says: str) -> None:
    fault = url_fault(url, PUBLIC_ONLY)
    assert fault is not None and says in fault
    assert "secret" not in fault


def test_an_allowed_private_literal_passes() -> None:
    check_url("callback", "http://127.0.0.1:9000/hook", HOME)
    check_url("callback", "http://[::1]:9000/hook", HOME)
    assert url_fault("http://10.0.0.1/", HOME) is not None


@given(st.text(max_size=60))
def test_no_text_whatever_breaks_the_check(text: str) -> None:
    for url in (text, f"http://{text}", f"http://{text}/x", f"http://a:{text}@b/"):
        fault = url_fault(url, PUBLIC_ONLY)
        assert fault is None or (fault and fault.isprintable() and len(fault) < LONGEST_FAULT)
        if fault is None:
            parsed = URL(url)
            assert parsed.scheme in ("http", "https") and parsed.raw_host and not parsed.raw_user
