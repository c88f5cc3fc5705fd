// Has the Node client do what each line of its input says, `{"url": ..., "verb": ..., "args": [...]}`; prints what came of it.
import { createInterface } from "node:readline";
import { Client } from "../../../clients/node/src/index.js";

for await (const line of createInterface({ input: process.stdin })) {
  const { url, key, patience, poll, verb, args } = JSON.parse(line);
  const client = new Client(url, { apiKey: key, patienceMs: patience * 1000 });
  const said = { value: null, events: [], progress: [] };
  const verbs = {
    submit: (job, idempotencyKey) => client.submit(job, { idempotencyKey }),
    each: async (query) => {
      const found = [];
      for await (const job of client.each(query)) found.push(job);
      return found;
    },
    submit_batch: (batch) => client.submitBatch(batch),
    analyze: (file) => client.analyzeFile(file, { onProgress: (sent, size) => said.progress.push([sent, size]) }),
    wait: (jobId, timeout = 30) =>
      client.wait(jobId, { pollMs: poll * 1000, timeoutMs: timeout * 1000, onEvent: (event) => said.events.push(event) }),
    leases_take: async (types, worker) => (await client.leases.take(types, worker)).map(({ jobId, ...lease }) => ({ job_id: jobId, ...lease })),
    leases_fail: (token, kind, type, message) => client.leases.fail(token, { class: kind, type, message }),
  };
  try {
    said.value = await (verbs[verb] ?? called(client, verb))(...args);
  } catch (error) {
    Object.assign(said, { error: error.name, status: error.status ?? 0, kind: error.kind ?? "", faults: error.errors ?? [] });
  }
  console.log(JSON.stringify(said));
}

function called(client, verb) {
  const name = verb.replace("leases_", "");
  return name === verb ? client[verb].bind(client) : client.leases[name].bind(client.leases);
}
