// Plays films with hls.js and Shaka in headless Chromium, served from loopback, and tells when each flash and beep came.
// Arguments: the browser, and JSON: [{player: "hls.js" | "shaka" | "none", file, seconds}]; prints what each said, in that order.
// With {moment} in place of seconds: what hls.js shows there as it scrubs; with {index, moments}: what Shaka finds in a sprite; with
// {player} alone ("img" also): the colour in the middle. The third argument says how many play at once.
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { stage } from "./stage.mjs";

const [executablePath, told, atOnce] = process.argv.slice(2);
const films = JSON.parse(told).map((film, i) => ({ ...film, url: `/${i}/${film.file.split("/").at(-1)}` }));
const ask = ({ player, url, seconds, moment, index, moments }) => {
  if (index) return window.tiles(url, new URL(index, new URL(url, location)).href, moments);
  if (moment !== undefined) return window.scrub(url, moment);
  return seconds ? window.measure(player, url, seconds) : window.colour(player, url);
};
let tab;
await stage({
  executablePath,
  page: readFileSync(new URL("in_step.html", import.meta.url)),
  folders: films.map((film) => dirname(film.file)),
  atOnce: Number(atOnce),
  all: films,
  show: async (some, browser, origin) => {
    if (!tab) await (tab = await browser.newPage()).goto(`${origin}/`);
    return tab.evaluate(`Promise.all(${JSON.stringify(some)}.map(${ask}))`);
  },
});
