// Server-sent events, however their bytes are cut.
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventStream } from "../src/event-stream.js";

const BYTES = Buffer.from('retry: 1500\nid: g-7\n\n: here\n\nid: g-8\r\ndata: {"type": "job:started",\r\ndata: "n": "ü"}\r\n\r\n');

for (const size of [1, 2, 7, 1000]) {
  test(`messages are whole when ${size} bytes come at a time`, () => {
    const stream = new EventStream();
    const told = [];
    for (let at = 0; at < BYTES.length; at += size) told.push(...stream.feed(BYTES.subarray(at, at + size)));
    assert.deepEqual(told, [{ type: "job:started", n: "ü" }]);
    assert.deepEqual([stream.lastId, stream.retryMs], ["g-8", 1500]);
  });
}

test("a message that was cut has not been seen", () => {
  const stream = new EventStream();
  assert.deepEqual([...stream.feed(Buffer.from("id: g-7\n\nid: g-8\ndata: {}\n"))], []);
  assert.equal(stream.lastId, "g-7", "from g-8 on it would be lost");
  stream.resume(stream.lastId);
  assert.deepEqual([...stream.feed(Buffer.from('id: g-8\ndata: {"n": 1}\n\n'))], [{ n: 1 }]);
});
