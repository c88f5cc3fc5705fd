"""The real Chromium gets nowhere but by the proxy, and takes a payload's secrets nowhere but to its own origin."""

from pathlib import Path

import pytest

from secondunit.handlers.tools.fetching.download_router import Downloads
from secondunit.handlers.tools.network.proxy import Egress
from secondunit.queue.outcome import Deterministic
from secondunit.testing.fakes.website import Site, serving
from secondunit.testing.handler_kit import FakeContext
from tests.unit.handlers.tools.fetching.browser.client.quarantine import METADATA, Packets
from tests.unit.handlers.tools.fetching.browser.client.scene import (
    ELSEWHERE,
    FILM,
    HERE,
    NEEDS_A_BROWSER,
    failing,
    get,
    page,
    saved,
)

pytestmark = NEEDS_A_BROWSER


async def test_headers_and_cookies_go_to_their_own_origin_only(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    async with serving(HERE) as other:
        saved(other)
        other.says("/pixel", text="x", Access_Control_Allow_Origin="*")
        other.says("/next", text="<script>location.href = '/film'</script>", kind="text/html")
        site.says("/pixel", text="x")
        script = f"fetch('/pixel').then(() => fetch('{other.url('/pixel')}')).then(() => {{ location.href = '/away' }})"
        url = page(site, script)
        site.says("/away", 302, Location=other.url("/next"))
        headers = {"X-Key": "s3cret", "Authorization": "Bearer s3cret", "User-Agent": "Agent/1"}
        got = await get(downloads, ctx, url, headers=headers)
    assert got.path.read_bytes() == FILM
    own = [request for request in site.requests if request.path in ("/page", "/pixel", "/away")]
    assert len(own) == 3
    assert all(request.headers.get("X-Key") == "s3cret" for request in own)
    assert all(request.headers.get("Authorization") == "Bearer s3cret" for request in own)
    assert {request.path for request in other.requests} >= {"/pixel", "/next", "/film"}
    assert not [request for request in other.requests if "s3cret" in str(request.headers)]
    assert {request.headers["User-Agent"] for request in (*own, *other.requests)} == {"Agent/1"}
    log = ctx.workspace.log.read_text() if ctx.workspace.log.exists() else ""
    assert "s3cret" not in log and "s3cret" not in str(ctx.reports)


EVERY_WAY_OUT = """
const away = ['http://127.0.0.3:PORT/', 'http://localhost:PORT/', 'http://[::1]:PORT/', 'http://169.254.169.254/latest/',
  'https://169.254.169.254/', location.origin + '/away?', 'http://127.0.0.1:PORT/', 'http://10.1.2.3/', 'http://name.example/'];
for (const url of away) {
  fetch(url, {mode: 'no-cors'}).catch(() => {});
  new Image().src = url + 'image';
  navigator.sendBeacon(url + 'beacon', 'x');
  try { new WebSocket(url.replace('http', 'ws')); } catch {}
  const frame = document.createElement('iframe'); frame.src = url; document.body.append(frame);
  for (const rel of ['dns-prefetch', 'preconnect', 'prefetch', 'preload']) {
    const link = document.createElement('link'); link.rel = rel; link.href = url; document.head.append(link);
  }
  window.open(url);
}
const peer = new RTCPeerConnection({iceServers: [{urls: ['stun:198.51.100.7:3478', 'stun:stun.example:3478',
  'turn:198.51.100.7:3478?transport=tcp'], username: 'u', credential: 'c'}]});
peer.createDataChannel('x');
peer.createOffer().then(offer => peer.setLocalDescription(offer));
if (self.WebTransport) { try { new WebTransport('https://127.0.0.3:PORT/'); } catch {} }
if (navigator.serviceWorker) navigator.serviceWorker.register('/worker.js').catch(() => {});
new Worker(URL.createObjectURL(new Blob(["fetch('http://127.0.0.3:PORT/worker', {mode: 'no-cors'})"])));
"""


@pytest.mark.parametrize("waits", [2.5])
async def test_no_page_gets_around_the_proxy(
    site: Site, canary: Site, downloads: Downloads, egress: Egress, ctx: FakeContext, asked: list[str]
) -> None:
    site.says("/away", 302, Location=canary.url("/film"))
    site.says("/worker.js", text="fetch('http://127.0.0.3/')", kind="text/javascript")
    async with serving(METADATA) as metadata:
        port = canary.base.rpartition(":")[2]
        url = page(
            site,
            EVERY_WAY_OUT.replace("PORT", port).replace(
                METADATA + "/l", f"{METADATA}:{metadata.base.rpartition(':')[2]}/l"
            ),
        )
        packets = Packets()
        try:
            error = await failing(downloads, ctx, url)
            packets.read()
        finally:
            packets.close()
        assert metadata.requests == []
    assert isinstance(error, Deterministic) and error.type == "egress_denied"
    assert packets.seen == {("tcp", "127.0.0.1", egress.port), ("tcp", HERE, int(site.base.rpartition(":")[2]))}
    assert {"name.example", ELSEWHERE, METADATA, "10.1.2.3"} <= set(asked)  # it did try, by the proxy
    paths = [request.path for request in site.requests]
    assert "/away" in paths and "/worker.js" not in paths


async def test_a_page_at_a_denied_address_is_refused_at_once(
    site: Site, downloads: Downloads, ctx: FakeContext
) -> None:
    site.says("/page", 302, Location=f"http://{METADATA}/latest/")
    error = await failing(downloads, ctx, site.url("/page"))
    assert isinstance(error, Deterministic) and error.type == "egress_denied"
    assert "the page is open" not in str(ctx.reports)


@pytest.mark.parametrize("waits", [1.5])
async def test_a_page_can_not_lead_to_what_is_not_of_the_web(
    site: Site, downloads: Downloads, ctx: FakeContext, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(FILM)
    script = f"""
      for (const place of ['file://{secret}', 'view-source:file://{secret}', 'chrome://version', 'data:text/html,x']) {{
        window.open(place);
        for (const save of [null, 'film.mp4']) {{
          const link = document.createElement('a'); link.href = place; document.body.append(link);
          if (save) link.download = save;
          if (!place.startsWith('data:') || !save) link.click();
        }}
        const player = document.createElement('video'); player.src = place; document.body.append(player);
      }}
    """
    error = await failing(downloads, ctx, page(site, script))
    assert isinstance(error, Deterministic) and error.type == "nothing_to_download"
