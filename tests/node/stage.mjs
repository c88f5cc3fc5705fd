// Headless Chromium, and on loopback what it is shown: one page under each folder's path, scripts, and files by /N/NAME in folder N.
import { createServer } from "node:http";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, normalize } from "node:path";
import { chromium } from "playwright-core";

const library = createRequire(import.meta.url);
const SCRIPTS = { "/hls.js": "hls.js/dist/hls.js", "/shaka.js": "shaka-player/dist/shaka-player.compiled.js" };

const answer = (page, folders) => (request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path.endsWith("/")) return response.setHeader("content-type", "text/html").end(page);
  if (path in SCRIPTS) return response.setHeader("content-type", "text/javascript").end(readFileSync(library.resolve(SCRIPTS[path])));
  const [, number, ...rest] = normalize(path).split("/");
  try {
    const file = join(folders[number], ...rest);
    const size = statSync(file).size;
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const range = { start: Number(from ?? 0), end: to ? Math.min(Number(to), size - 1) : size - 1 };
    if (from) response.writeHead(206, { "content-range": `bytes ${range.start}-${range.end}/${size}` });
    createReadStream(file, range).pipe(response);
  } catch {
    response.writeHead(404).end();
  }
};

// Prints as JSON what `show` says of each of these, `atOnce` of them at a time; it gets them, the browser and the server's origin.
export const stage = async ({ executablePath, page, folders, atOnce, show, all }) => {
  const server = createServer(answer(page, folders));
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
    const said = [];
    for (let first = 0; first < all.length; first += atOnce) {
      said.push(...(await show(all.slice(first, first + atOnce), browser, `http://127.0.0.1:${server.address().port}`)));
    }
    console.log(JSON.stringify(said));
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
};
