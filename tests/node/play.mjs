// Plays master playlists with hls.js in headless Chromium, served from loopback, muted and fast; prints how each ended.
// Arguments: the browser, how many times as fast, and the folders, each with a master.m3u8; two play at once.
import { stage } from "./stage.mjs";

const [executablePath, rate, ...folders] = process.argv.slice(2);
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
await stage({
  executablePath,
  page,
  folders,
  atOnce: 2,
  all: [...folders.keys()],
  show: (some, browser, origin) =>
    Promise.all(
      some.map(async (number) => {
        const tab = await browser.newPage();
        await tab.goto(`${origin}/${number}/`);
        const said = await tab.evaluate(() => window.finished);
        await tab.close();
        return said;
      }),
    ),
});
