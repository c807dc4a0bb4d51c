import type * as NodeFiles from "node:fs/promises";
import { isAddress, joinPath, nodeFiles } from "./files.js";
import { sweepLeftovers, temporaryName } from "./leftovers.js";

/**
 * Thrown when the system refuses to write a file: its folder is missing or not writable, or the disk is full. An
 * earlier file of the same name is left as it was.
 */
export class FileWriteError extends Error {
  override name = "FileWriteError";
}

/** Removes files from a folder. A file that is missing is no error. */
export async function removeFiles(folder: string, names: readonly string[]): Promise<void> {
  const { rm } = await nodeFiles(`Writing ${folder}`);
  for (const name of names) await rm(joinPath(folder, name), { force: true });
}

/** Removes a folder and all that is in it. One that is missing is no error. */
export async function removeFolder(folder: string): Promise<void> {
  const { rm } = await nodeFiles(`Writing ${folder}`);
  await rm(folder, { recursive: true, force: true });
}

/** Writes a text file completely or not at all. Creates the folders that it needs. */
export async function writeText(path: string, text: string): Promise<void> {
  await writeWhole(path, [new TextEncoder().encode(text)]);
}

/**
 * Writes a file completely or not at all: under a temporary name in the same folder, flushed to the disk, then renamed.
 * An earlier file of that name stays until the rename, and if anything fails. Creates the folders that it needs, and
 * removes unfinished files that killed processes left there.
 *
 * @throws FileWriteError; any error of `chunks`
 */
export async function writeWhole(
  path: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const { mkdir, open, rename, rm } = await nodeFiles(`Writing ${path}`);
  if (isAddress(path))
    throw new FileWriteError(`${path} is a web address, and nothing can be saved there. Give the path of a file.`);
  const folder = path.replace(/[^/\\]*$/, "") || ".";
  const temporary = await temporaryName(path);
  try {
    await mkdir(folder, { recursive: true });
    await sweepLeftovers(path);
    const file = await open(temporary, "w");
    try {
      for await (const chunk of chunks) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    await flushFolder(folder);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined); // The first error is thrown below.
    const { syscall, message } = error as NodeJS.ErrnoException;
    if (syscall === undefined) throw error;
    throw new FileWriteError(`${path} cannot be written: ${message}. Free space, or give another path.`, {
      cause: error,
    });
  }
}

/** Flushes a folder, so that a rename in it survives a crash. Windows neither needs nor allows this. */
export async function flushFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { open } = await nodeFiles(`Writing ${path}`);
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function writeAll(file: NodeFiles.FileHandle, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    written += (await file.write(chunk, written)).bytesWritten;
  }
}
