// What the backend keeps, in one JSON file that is replaced whole at each change: analyses, points, notifications.
import { existsSync, fsyncSync, openSync, closeSync, readFileSync, renameSync, writeSync } from "node:fs";
import { randomUUID } from "node:crypto";

const COST = 10;
const FIRST_POINTS = 1000;

export class Ledger {
  #file;
  #data;

  constructor(file) {
    this.#file = file;
    this.#data = existsSync(file)
      ? JSON.parse(readFileSync(file, "utf8"))
      : { analyses: {}, points: {}, notifications: [] };
  }

  has = (id) => Object.hasOwn(this.#data.analyses, id);
  get = (id) => this.#data.analyses[id];
  all = () => Object.values(this.#data.analyses);
  points = () => this.#data.points;
  notifications = () => this.#data.notifications;
  failed = (limit) => this.#with("failed", limit);
  pending = (limit) => this.#with("pending", limit);

  /** A new analysis; `status` "failed" is one that the online service has lost already. */
  add({ jobId = randomUUID(), videoUrl, user = "user-1", status = "pending" }) {
    if (!videoUrl) throw Object.assign(new Error("videoUrl is required"), { status: 422 });
    this.#data.analyses[jobId] ??= { jobId, videoUrl, user, status, log: [entry(status)] };
    this.#data.points[user] ??= FIRST_POINTS;
    this.#save();
    return this.#data.analyses[jobId];
  }

  /** The online service could not do it. */
  fail(id, error) {
    const analysis = this.#data.analyses[id];
    if (analysis.status !== "completed") {
      Object.assign(analysis, { status: "failed", error });
      analysis.log.push(entry("failed", error));
      this.#save();
    }
    return analysis;
  }

  /**
   * Take a result: "stored" the first time, with all its effects in one write of the file; "repeated" for the same one
   * again, without any; "taken" or "stale" for another.
   */
  complete(id, { recipe, metadata }, { idempotencyKey, epoch }) {
    const analysis = this.#data.analyses[id];
    if (analysis.status === "completed") {
      if (idempotencyKey && analysis.idempotencyKey === idempotencyKey) return "repeated";
      return epoch < analysis.epoch ? "stale" : "taken";
    }
    Object.assign(analysis, { status: "completed", recipe, metadata, idempotencyKey, epoch, error: null });
    analysis.log.push(entry("completed"));
    this.#data.points[analysis.user] -= COST;
    this.#data.notifications.push({ to: analysis.user, jobId: id, text: `Your recipe is ready: ${recipe.name}` });
    this.#save();
    return "stored";
  }

  #with(status, limit) {
    return this.all().filter((analysis) => analysis.status === status).slice(0, limit);
  }

  #save() {
    const next = `${this.#file}.next`;
    const descriptor = openSync(next, "w");
    writeSync(descriptor, JSON.stringify(this.#data, null, 1));
    fsyncSync(descriptor);
    closeSync(descriptor);
    renameSync(next, this.#file);
  }
}

const entry = (status, note) => ({ at: new Date().toISOString(), status, ...(note && { note }) });
