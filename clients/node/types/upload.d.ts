/** @typedef {{ type: string, body: (onChunk: () => void) => ReadableStream<Uint8Array>, fault?: unknown }} Multipart
 * `fault` is what kept it from being sent on this side: asking again does not help. */
/**
 * @param {string} field @param {string} file @param {((sent: number, size: number) => void) | undefined} onProgress
 * @returns {Multipart}
 */
export function multipart(field: string, file: string, onProgress: ((sent: number, size: number) => void) | undefined): Multipart;
/**
 * A file (its path) or bytes that are a whole body.
 * @param {string | Uint8Array} content @returns {Multipart}
 */
export function artifactBody(content: string | Uint8Array): Multipart;
/**
 * `fault` is what kept it from being sent on this side: asking again does not help.
 */
export type Multipart = {
    type: string;
    body: (onChunk: () => void) => ReadableStream<Uint8Array>;
    fault?: unknown;
};
