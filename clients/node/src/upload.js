// Bodies with one file that is read while it is sent: multipart, or the file alone.
import { randomUUID } from "node:crypto";
import { accessSync, constants, createReadStream, statSync } from "node:fs";
import { basename } from "node:path";
import { Readable } from "node:stream";

/** @typedef {{ type: string, body: (onChunk: () => void) => ReadableStream<Uint8Array>, fault?: unknown }} Multipart
 * `fault` is what kept it from being sent on this side: asking again does not help. */

/**
 * @param {string} field @param {string} file @param {((sent: number, size: number) => void) | undefined} onProgress
 * @returns {Multipart}
 */
export function multipart(field, file, onProgress) {
  const boundary = randomUUID();
  const name = encodeURIComponent(basename(file));
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="${field}"; filename="${name}"\r\n`;
  const size = sizeOf(file);

  /** @param {() => void} onChunk */
  async function* chunks(onChunk) {
    yield Buffer.from(`${head}Content-Type: application/octet-stream\r\n\r\n`);
    let count = 0;
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) {
      yield chunk;
      count += chunk.length;
      onChunk();
      onProgress?.(count, size);
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }
  return sent(`multipart/form-data; boundary=${boundary}`, chunks);
}

/**
 * A file (its path) or bytes that are a whole body.
 * @param {string | Uint8Array} content @returns {Multipart}
 */
export function artifactBody(content) {
  if (typeof content === "string") sizeOf(content);
  /** @param {() => void} onChunk */
  async function* chunks(onChunk) {
    const parts = typeof content === "string" ? createReadStream(content, { highWaterMark: 256 * 1024 }) : [content];
    for await (const chunk of parts) {
      yield chunk;
      onChunk();
    }
  }
  return sent("application/octet-stream", chunks);
}

/** @param {string} type @param {(onChunk: () => void) => AsyncIterable<Uint8Array>} chunks @returns {Multipart} */
function sent(type, chunks) {
  /** @type {Multipart} */
  const form = { type, body: (onChunk) => web(watched(onChunk)) };
  /** @param {() => void} onChunk */
  async function* watched(onChunk) {
    try {
      yield* chunks(onChunk);
    } catch (error) {
      form.fault = error;
      throw error;
    }
  }
  return form;
}

/** A file's bytes; thrown is what keeps it from being read, before anything is sent. @param {string} file */
function sizeOf(file) {
  const status = statSync(file);
  if (!status.isFile()) throw new TypeError(`${file} is no file`);
  accessSync(file, constants.R_OK);
  return status.size;
}

/** @param {AsyncIterable<Uint8Array>} chunks @returns {any} Node's own ReadableStream, which its types tell from fetch's. */
function web(chunks) {
  return Readable.toWeb(Readable.from(chunks, { objectMode: false }));
}
