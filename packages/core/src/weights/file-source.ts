import { nodeFiles, requireFile } from "../platform/files.js";
import type { ByteSource } from "./byte-source.js";
import { WeightsFormatError, WeightsReadError } from "./errors.js";

/** The largest read in one call of the operating system. */
const MOST_BYTES_A_READ = 2 ** 30;

/** Reads a file part by part (Node). */
export async function openFile(path: string | URL): Promise<ByteSource> {
  const name = String(path);
  const fail = (error: unknown): never => {
    throw new WeightsReadError(`${name} cannot be read (${(error as Error).message}). Check the path.`, {
      cause: error,
    });
  };
  await requireFile(path).catch(fail);
  const { open } = await nodeFiles(`Opening ${name}`);
  const file = await open(path, "r").catch(fail);
  const { size } = await file.stat();
  const read = async (begin: number, end: number) => {
    const bytes = new Uint8Array(end - begin);
    for (let done = 0; done < bytes.byteLength;) {
      const { bytesRead } = await file
        .read(bytes, done, Math.min(bytes.byteLength - done, MOST_BYTES_A_READ), begin + done)
        .catch(fail);
      if (bytesRead === 0)
        throw new WeightsFormatError(
          `${name}: it ended at byte ${begin + done} while it was read. Was it truncated? Download it again.`,
        );
      done += bytesRead;
    }
    return bytes;
  };
  return { name, size, read, close: () => file.close() };
}
