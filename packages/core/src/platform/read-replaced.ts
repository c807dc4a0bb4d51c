import { isAddress, nodeFiles } from "./files.js";
import { PlatformError } from "./platform-error.js";

/** How often a folder is read anew that is replaced meanwhile. */
const MOST_READS = 20;

/**
 * Reads a folder that another process may replace meanwhile, so that the result is of the old folder or of the new one,
 * and never a mixture: if the folder was replaced, it is read again.
 *
 * @param mark the name of a file in the folder that every save writes anew
 * @param discard frees a result that may be a mixture
 * @throws PlatformError if the folder is replaced again and again
 */
export async function readReplaced<T>(
  folder: string,
  mark: string,
  read: () => Promise<T>,
  discard: (result: T) => void,
): Promise<T> {
  if (isAddress(folder)) return read();
  const { recoverFolder } = await import("./replace-folder.js");
  for (let reads = 0; reads < MOST_READS; reads++) {
    await recoverFolder(folder);
    const before = await identityOf(`${folder}/${mark}`);
    try {
      const result = await read();
      if ((await identityOf(`${folder}/${mark}`)) === before) return result;
      discard(result);
    } catch (error) {
      if ((await identityOf(`${folder}/${mark}`)) === before) throw error;
    }
  }
  throw new PlatformError(
    `${folder} was replaced ${MOST_READS} times while it was read. Wait until it is saved, and open it again.`,
  );
}

/** Tells a file from every other, also from one that gets its name later; undefined if there is none. */
async function identityOf(path: string): Promise<string | undefined> {
  const { stat } = await nodeFiles(`Reading ${path}`);
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && `${found.dev} ${found.ino} ${found.mtimeNs} ${found.size}`;
}
