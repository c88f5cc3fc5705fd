"""The proxies' samples of examples/proxy, as they stand, started on loopback in front of a daemon."""

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM
from urllib.parse import urlsplit

import pytest

from secondunit.client.errors import Unauthorized
from secondunit.client.sync import Client
from tests.e2e.conftest import CHECKOUT, Daemon, starting
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.long]
SAMPLES = CHECKOUT / "examples" / "proxy"
UNPACKED = CHECKOUT / ".cache" / "proxies"
KEY = "open sesame"
NGINX = "daemon off; pid {0}/pid; events {{}} http {{ access_log off; {1} include {0}/site.conf; }}"
BODIES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def program(name: str) -> str:
    """Debian's nginx or caddy: installed, or unpacked by make."""
    for found in (shutil.which(name), UNPACKED / "usr" / "sbin" / name, UNPACKED / "usr" / "bin" / name):
        if found and Path(found).exists():
            return str(found)
    pytest.skip(
        f"THE SAMPLE FOR {name.upper()} IS NOT TRIED: no {name}; `make check-all` takes Debian's where it can be had"
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon as the samples' README sets it up."""
    with starting(tmp_path_factory.mktemp("proxies")) as start:
        gemini = {"GEMINI_API_KEY": "stand-in", "GEMINI_BASE_URL": "http://127.0.0.1:9"}
        daemon = start(API_KEY=KEY, TRUSTED_PROXIES="127.0.0.1", RATE_LIMIT="off", **gemini).ready()
        daemon.call("POST", "/api/types/analyze/pause", X_API_Key=KEY)
        yield daemon


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """One for localhost, and its key."""
    made = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    argv = ["openssl", "req", *kind, *names, "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(argv, check=True, capture_output=True, timeout=60)
    return made


@pytest.fixture(params=["nginx", "caddy"])
def proxy(
    request: pytest.FixtureRequest, daemon: Daemon, certificate: tuple[Path, Path], tmp_path: Path
) -> Iterator[str]:
    """The address of a proxy that has the sample, but for its name, its ports, its certificate and its log."""
    port = free_port()
    sample = {"nginx": nginx, "caddy": caddy}[request.param]
    with running(sample(daemon.port, port, certificate, tmp_path), port, tmp_path):
        yield f"https://localhost:{port}"


def nginx(behind: int, port: int, certificate: tuple[Path, Path], folder: Path) -> list[str]:
    """The command that serves the sample."""
    text = (SAMPLES / "nginx.conf").read_text()
    for shown, own in {
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443": f"listen 127.0.0.1:{port}",
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
        "media.example.com;": "localhost;",
        "/etc/letsencrypt/live/media.example.com/fullchain.pem": str(certificate[0]),
        "/etc/letsencrypt/live/media.example.com/privkey.pem": str(certificate[1]),
        "/var/log/nginx/secondunit.log": str(folder / "access.log"),
    }.items():
        assert shown in text, shown
        text = text.replace(shown, own)
    (folder / "site.conf").write_text(text)
    bodies = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in BODIES)
    (folder / "nginx.conf").write_text(NGINX.format(folder, bodies))
    return [program("nginx"), "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def caddy(behind: int, port: int, certificate: tuple[Path, Path], folder: Path) -> list[str]:
    """The command that serves the sample."""
    text, (chain, key) = (SAMPLES / "Caddyfile").read_text(), certificate
    for shown, own in {
        "media.example.com {": f"https://localhost:{port} {{\n\tbind 127.0.0.1\n\ttls {chain} {key}",
        "127.0.0.1:8000": f"127.0.0.1:{behind}",
        "/var/log/caddy/secondunit.log": str(folder / "access.log"),
    }.items():
        assert shown in text, shown
        text = text.replace(shown, own)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextmanager
def running(argv: list[str], port: int, folder: Path) -> Iterator[None]:
    """A program that listens there; it ends with this."""
    said = folder / "proxy.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            argv, cwd=folder, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}, stderr=log, stdout=log
        )
    try:
        until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, said.read_text()
        yield
    finally:
        process.send_signal(SIGINT if argv[0].endswith("caddy") else SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_sample_demands_a_key_streams_both_ways_and_logs_no_key(
    proxy: str, daemon: Daemon, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    trusted = ssl.create_default_context(cafile=str(certificate[0]))
    with pytest.raises(Unauthorized):
        Client(proxy, context=trusted).list()
    client = Client(proxy, KEY, context=trusted)

    with closing(client.events(last_event_id="long-1")) as events:
        assert next(events)["type"] == "reset", "it came while the stream is open: nothing keeps events back"

    film = tmp_path / "film.mp4"
    film.write_bytes(tmp_path.name.encode() + bytes(3 * 2**20))
    assert client.analyze(film)["status"] == "queued", "three megabytes are not too large"
    before = set((daemon.data / "uploads").iterdir())
    with half_sent(proxy, trusted):
        until(lambda: any(came.stat().st_size >= 2**19 for came in set((daemon.data / "uploads").iterdir()) - before))

    request(proxy, trusted, f"GET /api/jobs?limit=1&token={KEY.replace(' ', '%20')} HTTP/1.1")
    log = tmp_path / "access.log"
    until(lambda: log.exists() and log.read_text().count("/api/jobs") > 1)
    assert "sesame" not in log.read_text()


@contextmanager
def half_sent(proxy: str, trusted: ssl.SSLContext) -> Iterator[None]:
    """An upload that has not come to its end."""
    head = 'Content-Disposition: form-data; name="video"; filename="a.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    lines = ["POST /analyze HTTP/1.1", f"X-API-Key: {KEY}", "Content-Type: multipart/form-data; boundary=b"]
    with connected(proxy, trusted) as line:
        text = "\r\n".join([*lines, "Host: localhost", "Content-Length: 2000000", "", f"--b\r\n{head}"])
        line.sendall(text.encode() + bytes(2**20))
        yield


def request(proxy: str, trusted: ssl.SSLContext, first: str) -> None:
    """A request of which only what is logged matters."""
    with connected(proxy, trusted) as line:
        line.sendall(f"{first}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        assert line.recv(4096)


@contextmanager
def connected(proxy: str, trusted: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection(("127.0.0.1", urlsplit(proxy).port or 443), 30)
    with trusted.wrap_socket(plain, server_hostname="localhost") as line:
        yield line
