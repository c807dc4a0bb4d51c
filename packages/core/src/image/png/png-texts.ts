import { ImageError } from "../image-error.js";
import { type Chunk, readChunks } from "./chunks.js";

/**
 * The texts in a PNG file (its `tEXt` chunks), by their names.
 *
 * @throws ImageError
 */
export function pngTexts(bytes: Uint8Array): Record<string, string> {
  const texts: [string, string][] = [];
  for (const { type, data } of readChunks(bytes)) {
    if (type !== "tEXt") continue;
    const end = data.indexOf(0);
    if (end >= 0) texts.push([latin1(data.subarray(0, end)), latin1(data.subarray(end + 1))]);
  }
  return Object.fromEntries(texts);
}

/** The name, a zero, and the text. */
export function textChunk(name: string, text: string): Chunk {
  return { type: "tEXt", data: Uint8Array.from(`${name}\0${text}`, (letter) => letter.charCodeAt(0)) };
}

/** @throws ImageError for text that PNG cannot hold */
export function checkedTexts(texts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const [name, text] of Object.entries(texts)) {
    const isName = /^[\x20-\x7e\xa1-\xff]{1,79}$/.test(name) && !/^ | $| {2}/.test(name);
    // eslint-disable-next-line no-control-regex
    if (isName && /^[\x01-\xff]*$/.test(text)) continue;
    throw new ImageError(
      `encodePng: the text ${JSON.stringify(name)} cannot be written; PNG takes Latin-1, and names of 1 to 79 letters.`,
    );
  }
  return texts;
}

/** Byte by byte: TextDecoder's "latin1" is Windows-1252, which differs from 0x80 to 0x9f. */
function latin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
