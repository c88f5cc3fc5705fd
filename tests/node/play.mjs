// Plays master playlists with hls.js in headless Chromium, served from loopback, muted and fast; prints how each ended.
// Arguments: the browser, how many times as fast, and the folders, each with a master.m3u8; two play at once.
import { createServer } from "node:http";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join, normalize } from "node:path";
import { chromium } from "playwright-core";

const [executablePath, rate, ...folders] = process.argv.slice(2);
const AT_ONCE = 2;
const library = createRequire(import.meta.url).resolve("hls.js/dist/hls.js");
const page = `<!doctype html><video muted></video><script src="/hls.js"></script><script>
const video = document.querySelector("video");
const said = { errors: [], levels: 0, width: 0, height: 0, frames: 0, dropped: 0, ended: false };
const hls = new Hls({ maxBufferLength: 60, startLevel: 0 });
hls.on(Hls.Events.ERROR, (_, data) => said.errors.push(data.type + " " + data.details + " " + data.fatal));
hls.on(Hls.Events.MANIFEST_PARSED, (_, data) => {
  said.levels = data.levels.length;
  video.playbackRate = ${Number(rate)};
  video.play();
});
window.finished = new Promise((done) => {
  const end = () => {
    const quality = video.getVideoPlaybackQuality();
    Object.assign(said, { ended: video.ended, width: video.videoWidth, height: video.videoHeight, time: video.currentTime });
    Object.assign(said, { duration: video.duration, frames: quality.totalVideoFrames });
    done(said);
  };
  video.addEventListener("ended", end);
  video.addEventListener("error", end);
  hls.on(Hls.Events.ERROR, (_, data) => data.fatal && end());
  let [last, since] = [-1, Date.now()];
  setInterval(() => {
    if (video.currentTime !== last) [last, since] = [video.currentTime, Date.now()];
    if (Date.now() - since > 30000) end();
  }, 500);
});
hls.loadSource(location.pathname + "master.m3u8");
hls.attachMedia(video);
</script>`;
const server = createServer((request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  if (path.endsWith("/")) return response.setHeader("content-type", "text/html").end(page);
  if (path === "/hls.js") return response.setHeader("content-type", "text/javascript").end(readFileSync(library));
  const [, number, ...rest] = normalize(path).split("/");
  try {
    const file = join(folders[number], ...rest);
    response.setHeader("content-length", statSync(file).size);
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
  const shown = async (number) => {
    const tab = await browser.newPage();
    await tab.goto(`http://127.0.0.1:${server.address().port}/${number}/`);
    const said = await tab.evaluate(() => window.finished);
    await tab.close();
    return said;
  };
  const said = [];
  for (let first = 0; first < folders.length; first += AT_ONCE) {
    const some = [...folders.keys()].slice(first, first + AT_ONCE);
    said.push(...(await Promise.all(some.map(shown))));
  }
  console.log(JSON.stringify(said));
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
