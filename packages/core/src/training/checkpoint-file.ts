import { FileWriteError, nodeFiles, writeWhole } from "../platform/files.js";
import { CheckpointWriteError } from "./errors.js";

/** Where a checkpoint's bytes are kept. `write` replaces all of them or, if it fails, none. */
export interface CheckpointStore {
  /** For messages. */
  readonly name: string;
  /** undefined: there is none. */
  read(): Promise<Uint8Array | undefined>;
  /** Replaces what is stored, whole or not at all. */
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
      try {
        return new Uint8Array(await (await nodeFiles(`Reading ${path}`)).readFile(path));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
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
            "The one before it is untouched. Make room or choose another place, then run again to go on from it.",
          { cause: error },
        );
      }
    },
  };
}

/** Gives the file at `path`, if there is one, a second name, which outlives its replacement. */
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
