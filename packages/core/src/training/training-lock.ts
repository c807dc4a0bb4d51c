import { nodeFiles } from "../platform/files.js";
import { sweepLeftovers, temporaryName } from "../platform/leftovers.js";
import { isOver, machineName } from "../platform/processes.js";
import { TrainingLockedError } from "./errors.js";

/**
 * Makes a training the only one that writes this checkpoint (Node only): a file beside it, `NAME.lock`, contains the
 * machine and the process. The lock of a process that has ended is taken over. Returns the function that releases the
 * lock.
 *
 * @throws TrainingLockedError if another training holds the lock, even in this process
 */
export async function lockTraining(checkpoint: string): Promise<() => Promise<void>> {
  const { mkdir, readFile, rm } = await nodeFiles(`Writing ${checkpoint}`);
  const path = `${checkpoint}.lock`;
  const own = JSON.stringify({ machine: await machineName(), process: process.pid, id: crypto.randomUUID() });
  await mkdir(path.replace(/[^/\\]*$/, "") || ".", { recursive: true });
  await sweepLeftovers(path);
  const read = () => readFile(path, "utf8").catch(() => undefined);
  while (!(await create(path, own))) {
    const text = await read();
    if (text === undefined) continue; // It was released just now.
    if (!(await isAbandoned(path, text))) throw lockedError(checkpoint, path, text);
    await removeAbandoned(path, text);
  }
  return async () => {
    if ((await read()) === own) await rm(path, { force: true });
  };
}

/** Creates a file together with its text, so no process sees or leaves an empty file. False if the file exists. */
async function create(path: string, text: string): Promise<boolean> {
  const { link, rm, writeFile } = await nodeFiles(`Writing ${path}`);
  const temporary = await temporaryName(path);
  await writeFile(temporary, text);
  try {
    await link(temporary, path).catch((error: unknown) => {
      if (isThere(error)) throw error;
      return writeFile(path, text, { flag: "wx" }); // Some file systems have no hard links.
    });
    return true;
  } catch (error) {
    if (isThere(error)) return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

function isThere(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "EEXIST";
}

interface Holder {
  machine?: unknown;
  process?: unknown;
}

function holderIn(text: string): Holder {
  try {
    return JSON.parse(text) as Holder;
  } catch {
    return {};
  }
}

async function isAbandoned(path: string, text: string): Promise<boolean> {
  const { machine, process: pid } = holderIn(text);
  return machine === (await machineName()) && typeof pid === "number" && (await isOver(pid, path));
}

/** If several processes find an abandoned lock, only one renames it, and none removes the lock of a new holder. */
async function removeAbandoned(path: string, text: string): Promise<void> {
  const { link, readFile, rename, rm } = await nodeFiles(`Writing ${path}`);
  const aside = `${path}.${crypto.randomUUID()}`;
  if (
    !(await rename(path, aside).then(
      () => true,
      () => false,
    ))
  )
    return;
  const taken = await readFile(aside, "utf8");
  if (taken !== text) await link(aside, path).catch(() => undefined); // Fails if a third process has the lock by now.
  await rm(aside, { force: true });
}

function lockedError(checkpoint: string, path: string, text: string): TrainingLockedError {
  const { machine = "an unknown machine", process: pid = "unknown" } = holderIn(text);
  return new TrainingLockedError(
    `Another training is writing ${checkpoint}: process ${String(pid)} on ${String(machine)}. Wait until it ends, or train ` +
      `into another file. If that process no longer runs, remove ${path}.`,
  );
}
