// Reads master.m3u8 and every playlist it names with hls-parser; prints what was understood as JSON.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import HLS from "hls-parser";

HLS.setOptions({ strictMode: true });
const master = process.argv[2];
const folder = dirname(master);
const read = (uri) => HLS.parse(readFileSync(join(folder, uri), "utf8"));
const media = (uri) => {
  const list = read(uri);
  return {
    uri,
    type: list.playlistType,
    endlist: list.endlist,
    target: list.targetDuration,
    init: list.segments[0].map?.uri ?? null,
    durations: list.segments.map((segment) => segment.duration),
    uris: list.segments.map((segment) => join(dirname(uri), segment.uri)),
  };
};
const main = HLS.parse(readFileSync(master, "utf8"));
const [scrubbing, variants] = [true, false].map((only) => main.variants.filter((v) => Boolean(v.isIFrameOnly) === only));
const frames = (v) => {
  const list = read(v.uri);
  const ranges = list.segments.map((s) => ({ uri: join(dirname(v.uri), s.uri), duration: s.duration, ...s.byterange }));
  const { uri, byterange } = list.segments[0].map;
  return { resolution: v.resolution, codecs: v.codecs, bandwidth: v.bandwidth, only: list.isIFrame, init: { uri: join(dirname(v.uri), uri), ...byterange }, ranges };
};
console.log(
  JSON.stringify({
    isMaster: main.isMasterPlaylist,
    version: main.version,
    independent: main.independentSegments,
    iframes: scrubbing.map(frames),
    variants: variants.map((v) => ({
      ...media(v.uri),
      bandwidth: v.bandwidth,
      average: v.averageBandwidth,
      codecs: v.codecs,
      resolution: v.resolution,
      frameRate: v.frameRate,
      captions: v.closedCaptions,
      audio: v.audio.map((a) => ({ ...media(a.uri), name: a.name, isDefault: a.isDefault, channels: a.channels })),
    })),
  }),
);
