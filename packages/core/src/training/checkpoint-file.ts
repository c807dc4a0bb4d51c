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
 * at `path` is whole at every moment; the one before it stays as `<path>.previous`.
 */
export function checkpointFile(path: string): CheckpointStore {
  const previous = `${path}.previous`;
  const unfinished = `${path}.unfinished`;
  return {
    name: path,
    async read() {
      const fs = await importInNode<typeof import("node:fs/promises")>("node:fs/promises");
      for (const candidate of [path, previous]) {
        try {
          return new Uint8Array(await fs.readFile(candidate));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        }
      }
      return undefined;
    },
    async write(bytes) {
      const fs = await importInNode<typeof import("node:fs/promises")>("node:fs/promises");
      const { dirname } = await importInNode<typeof import("node:path")>("node:path");
      try {
        await fs.mkdir(dirname(path), { recursive: true });
        const file = await fs.open(unfinished, "w");
        try {
          await file.writeFile(bytes);
          await file.sync();
        } finally {
          await file.close();
        }
        await fs.rename(path, previous).catch(ignoreMissing);
        await fs.rename(unfinished, path);
      } catch (error) {
        await fs.rm(unfinished, { force: true }).catch(() => {});
        throw new CheckpointWriteError(
          `The checkpoint could not be written to ${path}: ${(error as Error).message}. ` +
            "The one before it is untouched. Free some space or choose another place, then run again to go on from it.",
          { cause: error },
        );
      }
    },
  };
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
