import { importInNode } from "../backend/node-only.js";
import { CheckpointWriteError } from "./errors.js";

/** Where a checkpoint's bytes are kept. `write` replaces all of them or, if it fails, none. */
export interface CheckpointStore {
  /** For messages. */
  readonly name: string;
  /** undefined: there is none. */
  read(): Promise<Uint8Array | undefined>;
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * A checkpoint in a file (Node only). It is written beside its place, flushed to the disk and then renamed, so the file
 * at `path` is whole at every moment. The one before it stays as `<path>.previous`.
 */
export function checkpointFile(path: string): CheckpointStore {
  return {
    name: path,
    async read() {
      const { fs } = await nodeModules();
      try {
        return new Uint8Array(await fs.readFile(path));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async write(bytes) {
      const unfinished = `${path}.unfinished`;
      const { fs, dirname } = await nodeModules();
      try {
        await fs.mkdir(dirname(path), { recursive: true });
        await writeThrough(unfinished, bytes);
        await keepAs(path, `${path}.previous`);
        await fs.rename(unfinished, path);
        await flushFolder(dirname(path));
      } catch (error) {
        await fs.rm(unfinished, { force: true }).catch(() => undefined);
        throw new CheckpointWriteError(
          `The checkpoint could not be written to ${path}: ${(error as Error).message}. ` +
            "The one before it is untouched. Make room or choose another place, then run again to go on from it.",
          { cause: error },
        );
      }
    },
  };
}

async function nodeModules() {
  const fs = await importInNode<typeof import("node:fs/promises")>("node:fs/promises");
  const { dirname } = await importInNode<typeof import("node:path")>("node:path");
  return { fs, dirname };
}

/** Writes a file and waits until the disk has it. */
async function writeThrough(path: string, bytes: Uint8Array): Promise<void> {
  const { fs } = await nodeModules();
  const file = await fs.open(path, "w");
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Gives the file at `path`, if there is one, a second name, which outlives its replacement. */
async function keepAs(path: string, second: string): Promise<void> {
  const { fs } = await nodeModules();
  await fs.rm(second, { force: true });
  try {
    await fs.link(path, second);
  } catch (error) {
    // Some file systems have no hard links.
    if (!isMissing(error)) await fs.copyFile(path, second);
  }
}

/** A rename is on the disk only once its folder is; Windows neither needs nor allows this. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const { fs } = await nodeModules();
  const folder = await fs.open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
