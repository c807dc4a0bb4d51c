import type * as NodeFiles from "node:fs/promises";
import { importInNode, isNode, requireFrom } from "../platform/node-only.js";
import type { FileHeader } from "./file-header.js";
import { ImageError } from "./image-error.js";
import { upright } from "./orientation.js";
import { fromBytes, type Pixels } from "./pixels.js";

/**
 * The pixels of a JPEG or WebP file, turned upright. In Node they are decoded by libjpeg and libwebp, compiled to
 * WebAssembly (@jsquash); in a browser, by the browser itself.
 *
 * @throws ImageError
 */
export async function unpackFile(bytes: Uint8Array, header: FileHeader): Promise<Pixels> {
  if (header.isAnimated) throw new ImageError("this is an animated WebP file. Save one of its pictures as PNG.");
  const { width, height, data } = await (isNode ? inNode(bytes, header) : inBrowser(bytes, header));
  return upright(fromBytes(width, height, data), header.orientation);
}

/** A decoder compiled by Emscripten: a function that starts an instance with its own memory. */
type StartDecoder = (options: {
  wasmBinary: Uint8Array;
  noInitialRun: true;
  printErr: (line: string) => void;
}) => Promise<{ decode(bytes: Uint8Array, ...more: boolean[]): ImageData | null }>;

/** The decoders' files, and their arguments after the bytes: libjpeg must not turn the picture. */
const DECODERS = {
  JPEG: { path: "@jsquash/jpeg/codec/dec/mozjpeg_dec", more: [false] },
  WebP: { path: "@jsquash/webp/codec/dec/webp_dec", more: [] },
};

/** A message that libjpeg also prints for complete files. */
const HARMLESS = /extraneous bytes before marker/;

async function inNode(bytes: Uint8Array, { format }: FileHeader): Promise<ImageData> {
  const { path, more } = DECODERS[format];
  const { readFile } = await importInNode<typeof NodeFiles>("node:fs/promises");
  const { default: start } = await importInNode<{ default: StartDecoder }>(`${path}.js`);
  const wasmBinary = await readFile((await requireFrom()).resolve(`${path}.wasm`));
  const said: string[] = [];
  const printErr = (line: string) => said.push(line);
  let picture: ImageData | null = null;
  let cause: Error | undefined;
  try {
    // A new instance for each picture: after an error it cannot be used again, and its memory never shrinks.
    const decoder = await start({ wasmBinary, noInitialRun: true, printErr });
    picture = decoder.decode(bytes, ...more);
  } catch (error) {
    cause = error as Error;
  }
  const problems = said.filter((line) => !HARMLESS.test(line));
  if (picture && problems.length === 0) return picture;
  throw notReadable(format, problems.join("; ") || cause?.message || "it is damaged or cut off", cause);
}

/** Some browsers turn some files by their EXIF data, so it is removed here. */
async function inBrowser(bytes: Uint8Array, { format, exifAt }: FileHeader): Promise<ImageData> {
  const copy = new Uint8Array(bytes);
  if (exifAt !== undefined) copy.fill(0x20, exifAt, exifAt + 4);
  const bitmap = await createImageBitmap(new Blob([copy]), {
    premultiplyAlpha: "none",
    colorSpaceConversion: "none",
  }).catch((error: Error) => {
    throw notReadable(format, error.message, error);
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d")!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

function notReadable(format: string, problem: string, cause: unknown): ImageError {
  return new ImageError(`this is not a readable ${format} file (${problem}). Save it as PNG.`, { cause });
}
