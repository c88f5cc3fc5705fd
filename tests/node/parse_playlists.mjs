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
console.log(
  JSON.stringify({
    isMaster: main.isMasterPlaylist,
    version: main.version,
    independent: main.independentSegments,
    variants: main.variants.map((v) => ({
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
