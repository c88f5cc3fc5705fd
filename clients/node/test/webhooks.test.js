// Callbacks: who is believed, what is told twice, what is older than what came.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { Receiver, verify, WebhookRefused } from "../src/index.js";

const NOW = 1_800_000_000;
const SECRET = "whsec_c2VjcmV0IG9mIHRoZSByZWNlaXZlcg==";
const window = { now: () => NOW * 1000 };

function sent({ id = "msg_1", at = NOW, epoch = 3, jobId = "job_a", key = Buffer.from("secret of the receiver") } = {}) {
  const body = JSON.stringify({ jobId, type: "webp", status: "completed", result: "ü", error: null, duration: 5 });
  const signature = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64");
  const headers = { "webhook-id": id, "webhook-timestamp": String(at), "secondunit-epoch": String(epoch) };
  return [{ ...headers, "webhook-signature": `v1,b2xk v1,${signature}` }, Buffer.from(body)];
}

test("the example of Standard Webhooks is believed, and then lacks an epoch", () => {
  const headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const then = { now: () => 1_614_265_330_000 };
  assert.throws(
    () => verify(headers, '{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", then),
    /Secondunit-Epoch is missing/,
  );
});

test("a callback is believed if one of the secrets signed it", () => {
  const callback = verify(...sent(), ["of old", SECRET], window);
  assert.deepEqual([callback.id, callback.sentAt, callback.epoch, callback.about], ["msg_1", NOW, 3, "job_a"]);
  assert.equal(callback.content.status, "completed");
  assert.equal(verify(...sent({ key: "any text" }), "any text", window).id, "msg_1");
});

test("what must not be believed is refused", () => {
  const [headers, body] = sent();
  const faults = [
    [headers, body, "wrong", NOW, /CALLBACK_SECRET/],
    [headers, Buffer.concat([body, Buffer.from(" ")]), SECRET, NOW, /CALLBACK_SECRET/],
    [{ ...headers, "webhook-id": "msg_2" }, body, SECRET, NOW, /CALLBACK_SECRET/],
    [{ ...headers, "webhook-signature": "v1," }, body, SECRET, NOW, /CALLBACK_SECRET/],
    [{}, body, SECRET, NOW, /missing/],
    [...sent({ key: "" }), "", NOW, /the secret is empty/],
    [...sent({ key: "" }), "whsec_", NOW, /the secret is empty/],
    [headers, body, SECRET, NOW + 301, /replayed/],
    [headers, body, SECRET, NOW - 301, /replayed/],
    [{ ...headers, "secondunit-epoch": undefined }, body, SECRET, NOW, /Epoch/],
  ];
  for (const [given, content, secret, now, told] of faults) {
    const refused = (error) => error instanceof WebhookRefused && told.test(error.message);
    assert.throws(() => verify(given, content, secret, { now: () => now * 1000 }), refused);
  }
});

test("a receiver acts once, and never on an older run", () => {
  const receiver = new Receiver(SECRET, window);
  const came = [["1", 3, "a"], ["1", 3, "a"], ["2", 2, "a"], ["3", 1, "b"], ["4", 4, "a"], ["2", 2, "a"]];
  const verdicts = came.map(([id, epoch, jobId]) => receiver.receive(...sent({ id, epoch, jobId })).verdict);
  assert.deepEqual(verdicts, ["new", "repeated", "outdated", "new", "new", "repeated"]);
});

test("what could not be acted on is new when it comes again, unless a later run has ended", () => {
  const receiver = new Receiver(SECRET, window);
  const came = (id, epoch) => receiver.receive(...sent({ id, epoch })).verdict;
  assert.equal(came("1", 3), "new");
  receiver.forget("1");
  assert.deepEqual([came("1", 3), came("1", 3), came("2", 4)], ["new", "repeated", "new"]);
  receiver.forget("1");
  assert.equal(came("1", 3), "outdated");
});

test("what it remembers is bounded", () => {
  const receiver = new Receiver(SECRET, window);
  for (let n = 0; n <= 10_000; n++) receiver.receive(...sent({ id: String(n), jobId: String(n) }));
  assert.equal(receiver.receive(...sent({ id: "10000" })).verdict, "repeated");
  assert.equal(receiver.receive(...sent({ id: "0", jobId: "0" })).verdict, "new", "forgotten: the first of 10,001");
});
