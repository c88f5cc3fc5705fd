// Has the Node client do what each line of its input says, `{"url": ..., "verb": ..., "args": [...]}`; prints what came of it.
import { createInterface } from "node:readline";
import { Client } from "../../../clients/node/src/index.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { url, key, patience, poll, verb, args } = JSON.parse(line);
  const client = new Client(url, { apiKey: key, patienceMs: patience * 1000 });
  const said = { value: null, events: [], progress: [] };
  const verbs = {
    submit: (job, idempotencyKey) => client.submit(job, { idempotencyKey }),
    submit_batch: (batch) => client.submitBatch(batch),
    analyze: (file) => client.analyzeFile(file, { onProgress: (sent, size) => said.progress.push([sent, size]) }),
    wait: (jobId, timeout = 30) =>
      client.wait(jobId, { pollMs: poll * 1000, timeoutMs: timeout * 1000, onEvent: (event) => said.events.push(event) }),
  };
  try {
    said.value = await (verbs[verb] ?? client[verb].bind(client))(...args);
  } catch (error) {
    Object.assign(said, { error: error.name, status: error.status ?? 0, kind: error.kind ?? "", faults: error.errors ?? [] });
  }
  console.log(JSON.stringify(said));
}
