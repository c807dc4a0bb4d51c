import { nodeFiles, requireFile } from "../platform/files.js";
import { FileWriteError, writeWhole } from "../platform/write-files.js";
import { WeightsReadError } from "../weights/errors.js";
import { CheckpointWriteError } from "./errors.js";

/** Stores the bytes of a checkpoint. `write` replaces all of them or, if it fails, none. */
export interface CheckpointStore {
  /** Its name in messages. */
  readonly name: string;
  /**
   * Undefined if there is no checkpoint.
   *
   * @throws WeightsReadError if it cannot be read
   */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces the stored bytes, completely or not at all. */
  write(bytes: Uint8Array): Promise<void>;
}

/**
 * A checkpoint in a file (Node only). It is written under a temporary name, flushed to the disk and then renamed, so
 * that the file at `path` is complete at every moment. The previous checkpoint stays as `<path>.previous`.
 */
export function checkpointFile(path: string): CheckpointStore {
  return {
    name: path,
    async read() {
      try {
        await requireFile(path);
        return new Uint8Array(await (await nodeFiles(`Reading ${path}`)).readFile(path));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw new WeightsReadError(
          `The checkpoint ${path} cannot be read: ${(error as Error).message}. Check the path and its permissions.`,
          { cause: error },
        );
      }
    },
    async write(bytes) {
      try {
        await keepAs(path, `${path}.previous`);
        await writeWhole(path, [bytes]);
      } catch (error) {
        const { message } = error instanceof FileWriteError ? (error.cause as Error) : (error as Error);
        throw new CheckpointWriteError(
          `The checkpoint could not be written to ${path}: ${message}. ` +
            "The previous one is untouched. Free space or choose another folder, then run again to continue from it.",
          { cause: error },
        );
      }
    },
  };
}

/** Gives the file at `path`, if there is one, a second name, under which it remains when `path` is replaced. */
async function keepAs(path: string, second: string): Promise<void> {
  const { copyFile, link, rm } = await nodeFiles(`Writing ${second}`);
  await rm(second, { force: true });
  try {
    await link(path, second);
  } catch (error) {
    // Some file systems have no hard links.
    if (!isMissing(error)) await copyFile(path, second);
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
