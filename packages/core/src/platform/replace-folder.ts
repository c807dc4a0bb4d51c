import { isAddress, joinPath, nodeFiles } from "./files.js";
import { FileWriteError, flushFolder } from "./write-files.js";
import { isTemporary, sweepLeftovers, temporariesOf, temporaryName } from "./leftovers.js";

/**
 * Replaces a folder as a whole. At every moment, even if the process is killed, the folder has either the old files or
 * the new ones.
 *
 * `write` gets a copy of the folder, which is made of hard links, and changes this copy. Then the two folders are
 * exchanged. Files that `write` does not change stay. A folder that cannot be moved, such as a mount point or the
 * working directory, is changed in place: its JSON files, without which it does not open, are removed first and written
 * last.
 *
 * Node has no call that exchanges two folders, so there are two renames. If a process is killed between them, {@link
 * recoverFolder} undoes the first.
 *
 * @throws FileWriteError; any error of `write`. The folder is then unchanged.
 */
export async function replaceFolder(folder: string, write: (to: string) => Promise<void>): Promise<void> {
  if (isAddress(folder))
    throw new FileWriteError(`${folder} is a web address, and nothing can be saved there. Give the path of a folder.`);
  const { rm } = await nodeFiles(`Writing ${folder}`);
  let temporary: string | undefined;
  try {
    await recoverFolder(folder);
    const path = await realPath(folder);
    await sweepLeftovers(path);
    temporary = await temporaryFolder(path);
    await cloneFolder(path, temporary);
    await write(temporary);
    await exchange(temporary, path);
  } catch (error) {
    // The first error is thrown, not this one.
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw asWriteError(error, folder, temporary);
  }
}

/**
 * Restores a folder that a killed process had moved away and not replaced yet. Waits while a running process is
 * exchanging the folder. Does nothing if the folder exists.
 */
export async function recoverFolder(folder: string): Promise<void> {
  const { access, rename } = await nodeFiles(`Looking for ${folder}`);
  const isThere = () =>
    access(folder).then(
      () => true,
      () => false,
    );
  for (let wait = 0; wait < 100 && !(await isThere()); wait++) {
    const old = (await temporariesOf(withoutSlash(folder))).filter(({ ending }) => ending === "old");
    if (old.length === 0) return;
    const abandoned = old.find(({ isAbandoned }) => isAbandoned);
    if (abandoned)
      await rename(abandoned.path, withoutSlash(folder)).catch(() => undefined); // Another process did it.
    else await new Promise((done) => setTimeout(done, 10));
  }
}

/** The folder at a path, with links resolved; the path itself if there is no folder. */
async function realPath(folder: string): Promise<string> {
  const { realpath, stat } = await nodeFiles(`Writing ${folder}`);
  const path = await realpath(folder).catch(() => undefined);
  if (path === undefined) return withoutSlash(folder);
  if ((await stat(path)).isDirectory()) return path;
  throw new FileWriteError(`${folder} is a file. Give a folder, or a new name.`);
}

/** How often a folder is cloned anew that another process replaces meanwhile. */
const MOST_CLONES = 20;

/**
 * Fills the empty folder `temporary` with the files at `path`. If another process replaces these meanwhile, it starts
 * again: the clone would fail, or be a mixture.
 */
async function cloneFolder(path: string, temporary: string): Promise<void> {
  const { mkdir, rm, stat } = await nodeFiles(`Writing ${path}`);
  const identity = () =>
    stat(path).then(
      ({ dev, ino }) => `${dev} ${ino}`,
      () => undefined,
    );
  for (let clones = 0; clones < MOST_CLONES; clones++) {
    await recoverFolder(path);
    const before = await identity();
    try {
      await linkFiles(path, temporary);
      if ((await identity()) === before) return;
    } catch (error) {
      if ((await identity()) === before) throw error;
    }
    await rm(temporary, { recursive: true });
    await mkdir(temporary);
  }
  throw new FileWriteError(
    `${path} was replaced ${MOST_CLONES} times while it was copied. Wait until the other process has saved, and try again.`,
  );
}

/** Fills a folder with the files of another folder, as hard links if the file system supports them, else as copies. */
async function linkFiles(from: string, to: string): Promise<void> {
  const { copyFile, link, mkdir, readdir, readlink, symlink } = await nodeFiles(`Writing ${to}`);
  for (const entry of await readdir(from, { withFileTypes: true }).catch(() => [])) {
    if (isTemporary(entry.name)) continue;
    const [old, copy] = [joinPath(from, entry.name), joinPath(to, entry.name)];
    if (entry.isDirectory()) {
      await mkdir(copy);
      await linkFiles(old, copy);
    } else if (entry.isSymbolicLink()) await symlink(await readlink(old), copy);
    else if (entry.isFile()) await link(old, copy).catch(() => copyFile(old, copy));
  }
}

/** A new folder beside `path`, or inside it if its parent is not writable. */
async function temporaryFolder(path: string): Promise<string> {
  const { mkdir } = await nodeFiles(`Writing ${path}`);
  const beside = await temporaryName(path);
  try {
    await mkdir(beside, { recursive: true });
    return beside;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const inside = await temporaryName(joinPath(path, "saving"));
    await mkdir(inside);
    return inside;
  }
}

/** Moves the folder `temporary` to `path`, and removes the folder that was there, if any. */
async function exchange(temporary: string, path: string): Promise<void> {
  const { rename, rm } = await nodeFiles(`Writing ${path}`);
  if (await holdsWorkingFolder(path)) return moveIn(temporary, path);
  // Repeated if another process creates the folder between the two renames: the last save wins.
  for (;;) {
    const old = await temporaryName(path, "old");
    try {
      await rename(path, old);
    } catch (error) {
      if (isRefusal(error)) return moveIn(temporary, path);
      if (codeOf(error) !== "ENOENT") throw error;
    }
    try {
      await rename(temporary, path);
      // Not "path/..", because another process may have moved the folder away again.
      await flushFolder(path.replace(/[^/\\]*$/, "") || ".");
      return await rm(old, { recursive: true, force: true });
    } catch (error) {
      if (codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST") {
        await rm(old, { recursive: true, force: true });
        continue;
      }
      await rename(old, path).catch(() => undefined); // There was none, or the folder is recovered later.
      if (isRefusal(error)) return moveIn(temporary, path);
      throw error;
    }
  }
}

/**
 * Moves the files of `temporary` into `path`, and removes those that `temporary` lacks. The JSON files at the top go
 * first and come last: without them the folder does not open.
 */
async function moveIn(temporary: string, path: string): Promise<void> {
  const { mkdir, rename, rm } = await nodeFiles(`Writing ${path}`);
  const [files, before] = [await filesIn(temporary), await filesIn(path)];
  const isMark = (name: string) => /^[^/]*\.json$/.test(name);
  for (const name of before.filter(isMark)) await rm(joinPath(path, name));
  await flushFolder(path);
  const move = async (name: string) => {
    await mkdir(joinPath(path, name).replace(/[^/]*$/, ""), { recursive: true });
    await rename(joinPath(temporary, name), joinPath(path, name));
  };
  for (const name of files) if (!isMark(name)) await move(name);
  for (const name of before) if (!files.includes(name)) await rm(joinPath(path, name), { force: true });
  for (const name of files.filter(isMark)) await move(name);
  await flushFolder(path);
  await rm(temporary, { recursive: true, force: true });
}

/** The paths of all files below a folder, without temporaries. */
async function filesIn(folder: string, below = ""): Promise<string[]> {
  const { readdir } = await nodeFiles(`Looking into ${folder}`);
  const files: string[] = [];
  for (const entry of await readdir(joinPath(folder, below), { withFileTypes: true })) {
    if (isTemporary(entry.name)) continue;
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    files.push(...(entry.isDirectory() ? await filesIn(folder, path) : [path]));
  }
  return files;
}

/** Whether the working directory is this folder or inside it. It would be removed with the old folder. */
async function holdsWorkingFolder(folder: string): Promise<boolean> {
  const { realpath } = await nodeFiles(`Looking for ${folder}`);
  const path = await realpath(folder).catch(() => undefined);
  const working = process.cwd();
  return path !== undefined && (working === path || working.startsWith(joinPath(path, "")));
}

function withoutSlash(folder: string): string {
  return folder.replace(/(?<=[^/\\])[/\\]+$/, "");
}

/** The system's errors for a folder that cannot be moved: a mount point, no permission, or (Windows) an open file. */
function isRefusal(error: unknown): boolean {
  return ["EACCES", "EBUSY", "EINVAL", "EPERM", "EROFS", "EXDEV"].includes(codeOf(error) ?? "");
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Puts the caller's folder into messages, in place of the temporary one. */
function asWriteError(error: unknown, folder: string, temporary: string | undefined): unknown {
  const failure = error as NodeJS.ErrnoException | undefined;
  // The message of some errors, such as the reason of an AbortSignal, cannot be changed.
  if (temporary !== undefined && failure?.message?.includes(temporary))
    failure.message = failure.message.replaceAll(temporary, folder);
  if (failure?.syscall === undefined) return error;
  return new FileWriteError(`${folder} cannot be written: ${failure.message}. Free space, or give another path.`, {
    cause: error,
  });
}
