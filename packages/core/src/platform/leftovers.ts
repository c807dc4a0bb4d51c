import type * as NodeThreads from "node:worker_threads";
import { listFolder, nodeFiles } from "./files.js";
import { importInNode } from "./node-only.js";
import { isOver, machineName } from "./processes.js";

/** "partial" is not finished yet; "old" was moved away and is being replaced. */
type Ending = "partial" | "old";

const TEMPORARY = /\.([\w-]+)\.(\d+)\.\d+-\d+\.(partial|old)$/;

let counter = 0;

/**
 * A name beside `path` that no other process uses: `NAME.MACHINE.PROCESS.THREAD-COUNT.partial`. It names its process.
 * So files that a killed process left can be distinguished from files that are being written.
 */
export async function temporaryName(path: string, ending: Ending = "partial"): Promise<string> {
  const { threadId } = await importInNode<typeof NodeThreads>("node:worker_threads");
  return `${path}.${await machineMark()}.${process.pid}.${threadId}-${counter++}.${ending}`;
}

/** Whether this name was made by {@link temporaryName}. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/** A temporary file or folder beside `path`. */
export interface Temporary {
  path: string;
  ending: Ending;
  /** Whether its process has ended. Then no process will finish or remove it. */
  isAbandoned: boolean;
}

/** All temporary files and folders of `path`. */
export async function temporariesOf(path: string): Promise<Temporary[]> {
  const [, folder = "", base = ""] = /^(.*[/\\])?([^/\\]*)$/s.exec(path) ?? [];
  const machine = await machineMark();
  const found: Temporary[] = [];
  for (const name of await listFolder(folder || ".")) {
    const [mark, host, pid, ending] = TEMPORARY.exec(name) ?? [];
    if (mark === undefined || name !== base + mark) continue;
    const temporary = { path: folder + name, ending: ending as Ending };
    found.push({ ...temporary, isAbandoned: host === machine && (await isOver(Number(pid), temporary.path)) });
  }
  return found;
}

/** Removes unfinished files and folders that killed processes left beside `path`. */
export async function sweepLeftovers(path: string): Promise<void> {
  const { rm } = await nodeFiles(`Writing ${path}`);
  for (const { path: left, isAbandoned } of await temporariesOf(path)) {
    if (isAbandoned) await rm(left, { recursive: true, force: true }).catch(() => undefined); // The next save tries again.
  }
}

/** The machine's name, as a part of a file name. */
async function machineMark(): Promise<string> {
  return (await machineName()).replaceAll(/[^\w-]/g, "-").slice(0, 40) || "machine";
}
