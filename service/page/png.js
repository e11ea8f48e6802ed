/**
 * Class ids out of a palette PNG, exactly.
 *
 * A canvas would hand back colours, which two classes may share and colour management may change;
 * so the file is read here: 8 bits a pixel, not interlaced, as the service writes it.
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const PALETTE = 3;
const [NONE, UP] = [0, 2];

/**
 * @param {ArrayBuffer} buffer
 * @returns {Promise<{width: number, height: number, ids: Uint8Array}>} ids row by row
 */
export async function decodeMask(buffer) {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  if (SIGNATURE.some((byte, index) => bytes[index] !== byte)) throw new Error("not a PNG");
  const [depth, kind, , , interlaced] = bytes.subarray(24, 29);
  if (depth !== 8 || kind !== PALETTE || interlaced) throw new Error("not an 8-bit palette PNG");
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  const rows = await inflate(data(bytes, view));
  if (rows.length !== height * (width + 1)) throw new Error("the PNG is cut short");
  return { width, height, ids: unfilter(rows, width, height) };
}

/** The compressed data: all IDAT chunks. */
function data(bytes, view) {
  const parts = [];
  for (let at = SIGNATURE.length; at < bytes.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  return new Blob(parts);
}

async function inflate(blob) {
  const stream = blob.stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undo PNG's filters, of which the service uses `Up` alone. */
function unfilter(rows, width, height) {
  const ids = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (width + 1)];
    if (filter !== NONE && filter !== UP) throw new Error(`the PNG has a filter ${filter}`);
    const start = y * width;
    ids.set(rows.subarray(start + y + 1, start + y + 1 + width), start);
    if (filter === NONE || y === 0) continue;
    for (let at = start; at < start + width; at++) ids[at] += ids[at - width];
  }
  return ids;
}
