import { accessSync, constants, existsSync, mkdirSync, statSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** Thrown where a picture cannot be written. */
export class OutputError extends Error {
  override name = "OutputError";
}

/**
 * The output file, in a folder that exists and is writable. Checked before the work, not after it.
 *
 * @param out a file ending in .png, or a folder; undefined for `out/` in the current folder
 * @param text gives the file its name if `out` does not, such as a prompt
 * @throws OutputError
 */
export function outputFile(out: string | undefined, text: string): string {
  // npm runs scripts in the package's folder; a path on the command line is relative to where npm was called.
  const path = out === undefined ? resolve("out") : resolve(process.env.INIT_CWD ?? ".", out);
  const isFile = path.toLowerCase().endsWith(".png") && !isFolder(path);
  const file = isFile ? path : join(path, `${fileName(text)}.png`);
  try {
    mkdirSync(dirname(file), { recursive: true });
    accessSync(dirname(file), constants.W_OK);
    if (isFolder(file)) throw new Error("it is a folder");
  } catch (error) {
    throw cannotWrite(file, error);
  }
  return file;
}

/**
 * Writes a file completely or not at all: first under a temporary name beside it.
 *
 * @throws OutputError if it cannot be written, such as on a full disk
 */
export async function writeOutput(file: string, bytes: Uint8Array): Promise<void> {
  const partial = `${file}.${process.pid}.partial`;
  try {
    await writeFile(partial, bytes);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined); // The error below says what is wrong.
    throw cannotWrite(file, error);
  }
}

function cannotWrite(file: string, cause: unknown): OutputError {
  const { message } = cause as Error;
  return new OutputError(`${file} cannot be written: ${message}. Choose another path with --out.`, { cause });
}

/** The file of one of several pictures: `a-cat-03.png` of 12. */
export function numbered(file: string, number: number, total: number): string {
  return file.replace(/\.png$/i, `-${String(number).padStart(String(total).length, "0")}$&`);
}

/** A text with hyphens in place of all but letters and digits, cut to a length that file systems accept. */
function fileName(text: string): string {
  const words = text.toLowerCase().match(/[a-z0-9]+/g) ?? ["picture"];
  return words.join("-").slice(0, 80);
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
