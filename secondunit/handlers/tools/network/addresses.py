"""SSRF guard: which IP addresses the URLs of payloads and callbacks may reach; a pure judge, also of URLs at submit."""

import re
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

from secondunit.queue.errors import BadPayload, FieldError
from secondunit.queue.value import Value

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "ALLOW_PRIVATE_ADDRESSES"
LONGEST_URL = 8192
LONGEST_HOST = 253
LONGEST_AUTHORITY = 512  # characters between // and the path: bringing a host of 8,000 into ASCII takes 0.1 s

# IANA's special-purpose registries (RFC 6890 and what came after), not `ipaddress.is_global`: that takes NAT64, 6to4,
# site-local and multicast addresses for global ones, and changes with the patch release of Python.
SPECIAL_V4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's metadata service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
# Only 2000::/3 is global unicast; the first that matches names the kind.
SPECIAL_V6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "this host"),
        ("::1/128", "loopback"),
        ("::/96", "a deprecated spelling of an IPv4 address"),
        ("64:ff9b:1::/48", "a local translation of an IPv4 address"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "for documentation"),
        ("3fff::/20", "for documentation"),
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
LOOPBACKS = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


class AddressRefused(OSError):
    """A connect was refused before a packet left: `host` stands for `address`, which may not be reached.

    An OSError because HTTP clients pass those of a connect on; `http.refusal` finds it again behind theirs.
    """

    def __init__(self, host: str, address: str, reason: str) -> None:
        super().__init__(None, describe(reason if host == address else f"{host}: {reason}"))
        self.host = host
        self.address = address

    def __str__(self) -> str:
        return str(self.strerror)


class AddressRule(Value, frozen=True):
    """Public addresses, and those within `allowed`, may be reached; everything else is refused."""

    allowed: tuple[Network, ...] = ()

    def judge(self, address: str | Address) -> str | None:
        """None if the address may be reached, else why not; `address` is a literal, perhaps with an IPv6 zone."""
        try:
            literal = ip_address(address)
        except ValueError:
            return f"{address} is not an IP address"
        if self._allows(literal):
            return None
        for inner in _unwrapped(literal):
            kind = None if self._allows(inner) else _kind(inner)
            if kind is not None:
                through = "" if inner == literal else f" (through {literal})"
                return f"{inner}{through} is {kind}"
        return None

    def admit(self, host: str, address: str) -> None:
        """Raise AddressRefused if `address`, which stands for `host`, may not be reached."""
        reason = self.judge(address)
        if reason is not None:
            raise AddressRefused(host, address, reason)

    def _allows(self, address: Address) -> bool:
        # `localhost` has both loopback addresses and is refused if either is: whoever allows one has allowed this host.
        spellings = LOOPBACKS if address in LOOPBACKS else (address,)
        return any(spelling in network for spelling in spellings for network in self.allowed)


def check_url(field: str, url: str, rule: AddressRule) -> None:
    """Refuse (BadPayload naming `field`) a URL that can be seen to be wrong before anybody looks up its host."""
    fault = url_fault(url, rule)
    if fault is not None:
        raise BadPayload(FieldError(field, fault))


def is_readable(url: str) -> bool:
    """Whether it is short enough to be taken apart."""
    authority = url.partition("//")[2][: LONGEST_AUTHORITY + 1]
    for mark in "/?#":
        authority = authority.partition(mark)[0]
    return len(url) <= LONGEST_URL and len(authority) <= LONGEST_AUTHORITY


def url_fault(url: str, rule: AddressRule) -> str | None:
    """What is wrong with a URL by its text alone, or None: names are judged when they are resolved, at each connect."""
    if len(url) > LONGEST_URL:
        return f"a URL may have {LONGEST_URL} characters, this one has {len(url)}"
    if any(not char.isprintable() or char.isspace() or char == "\\" for char in url):
        return "a URL has no control characters, blanks or backslashes"
    if not is_readable(url):
        return "the URL's host is not a name or an address"
    try:
        parsed = URL(url)
    except ValueError as error:
        # The parser may quote what stands before an @, which may be a password.
        return "not a URL" if "@" in url else f"not a URL: {error}"
    if parsed.scheme not in ("http", "https"):
        return "only http:// and https:// URLs are fetched"
    if parsed.raw_user is not None or parsed.raw_password is not None:
        return "a URL may not carry a user name or password"
    return _host_fault(parsed.raw_host or "", rule)


def describe(reason: str) -> str:
    """A refusal in words for its user: what is wrong, and which setting would permit it."""
    return f"{reason}; only public addresses are reached, and networks that {SETTING} lists"


def _host_fault(host: str, rule: AddressRule) -> str | None:
    if not host:
        return "the URL has no host"
    literal = _literal(host)
    if literal is None:
        named = len(host) <= LONGEST_HOST and HOST_NAME.fullmatch(host)
        return None if named else "the URL's host is not a name or an address"
    reason = rule.judge(literal)
    if reason is not None:
        return describe(reason)
    if isinstance(literal, IPv4Address) and host != str(literal):
        return f"write the address as {literal}"
    return None


def _literal(host: str) -> Address | None:
    """The address a host spells, in any spelling that the system's resolver reads as one (`127.1`, `0x7f000001`)."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, UnicodeError):
        return None


def _unwrapped(address: Address) -> Iterator[Address]:
    """The addresses a packet to this one ends at: the embedded IPv4 ones, else the address itself."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif address in NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address


def _kind(address: Address) -> str | None:
    """What kind of special address this is, or None for a public one."""
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in SPECIAL_V4 if address in network), None)
    kind = next((kind for network, kind in SPECIAL_V6 if address in network), None)
    return kind or (None if address in GLOBAL_UNICAST else "not a global address")
