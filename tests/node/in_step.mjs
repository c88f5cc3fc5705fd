// Plays films with hls.js and Shaka in headless Chromium, served from loopback, and tells when each flash and beep came.
// Arguments: the browser, and JSON: [{player: "hls.js" | "shaka" | "none", file, seconds}]; prints what each said, in that order.
import { createServer } from "node:http";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, told] = process.argv.slice(2);
const films = JSON.parse(told);
const AT_ONCE = 4;
const library = createRequire(import.meta.url);
const SCRIPTS = { "/hls.js": "hls.js/dist/hls.js", "/shaka.js": "shaka-player/dist/shaka-player.compiled.js" };
const TYPES = { ".m3u8": "application/vnd.apple.mpegurl", ".m4s": "video/iso.segment", ".mp4": "video/mp4", ".ts": "video/mp2t" };
const page = readFileSync(new URL("in_step.html", import.meta.url));

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path === "/") return response.setHeader("content-type", "text/html").end(page);
  if (path in SCRIPTS) return response.setHeader("content-type", "text/javascript").end(readFileSync(library.resolve(SCRIPTS[path])));
  const [, number, ...rest] = normalize(path).split("/");
  try {
    const file = join(dirname(films[number].file), ...rest);
    response.setHeader("content-length", statSync(file).size);
    response.setHeader("content-type", TYPES[extname(file)] ?? "application/octet-stream");
    createReadStream(file).pipe(response);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const browser = await chromium.launch({
  executablePath,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
try {
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const said = [];
  for (let first = 0; first < films.length; first += AT_ONCE) {
    const some = films.slice(first, first + AT_ONCE).map(({ player, file, seconds }, i) => [player, `/${first + i}/${file.split("/").at(-1)}`, seconds]);
    said.push(...(await tab.evaluate((some) => Promise.all(some.map((film) => window.measure(...film))), some)));
  }
  console.log(JSON.stringify(said));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
