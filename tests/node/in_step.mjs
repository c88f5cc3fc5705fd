// Plays films with hls.js and Shaka in headless Chromium, served from loopback, and tells when each flash and beep came.
// Arguments: the browser, and JSON: [{player: "hls.js" | "shaka" | "none", file, seconds}]; prints what each said, in that order.
// With {moment} in place of seconds: what hls.js shows there as it scrubs; with {index, moments}: what Shaka finds in a sprite; with
// {player} alone ("img" also): the colour in the middle. The third argument says how many play at once.
import { createServer } from "node:http";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, told, atOnce] = process.argv.slice(2);
const films = JSON.parse(told);
const library = createRequire(import.meta.url);
const SCRIPTS = { "/hls.js": "hls.js/dist/hls.js", "/shaka.js": "shaka-player/dist/shaka-player.compiled.js" };
const page = readFileSync(new URL("in_step.html", import.meta.url));

const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path === "/") return response.setHeader("content-type", "text/html").end(page);
  if (path in SCRIPTS) return response.setHeader("content-type", "text/javascript").end(readFileSync(library.resolve(SCRIPTS[path])));
  const [, number, ...rest] = normalize(path).split("/");
  try {
    const file = join(dirname(films[number].file), ...rest);
    const size = statSync(file).size;
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const range = { start: Number(from ?? 0), end: to ? Math.min(Number(to), size - 1) : size - 1 };
    if (from) response.writeHead(206, { "content-range": `bytes ${range.start}-${range.end}/${size}` });
    createReadStream(file, range).pipe(response);
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
  for (let first = 0; first < films.length; first += Number(atOnce)) {
    const some = films.slice(first, first + Number(atOnce)).map((film, i) => ({ ...film, url: `/${first + i}/${film.file.split("/").at(-1)}` }));
    const show = ({ player, url, seconds, moment, index, moments }) => {
      if (index) return window.tiles(url, new URL(index, new URL(url, location)).href, moments);
      if (moment !== undefined) return window.scrub(url, moment);
      return seconds ? window.measure(player, url, seconds) : window.colour(player, url);
    };
    said.push(...(await tab.evaluate(`Promise.all(${JSON.stringify(some)}.map(${show}))`)));
  }
  console.log(JSON.stringify(said));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
