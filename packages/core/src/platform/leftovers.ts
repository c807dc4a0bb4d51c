import type * as NodeThreads from "node:worker_threads";
import { listFolder, nodeFiles } from "./files.js";
import { importInNode } from "./node-only.js";
import { isOver, machineName } from "./processes.js";

/** "partial" is not finished yet; "old" was moved aside to make room. */
type Ending = "partial" | "old";

const TEMPORARY = /\.([\w-]+)\.(\d+)\.\d+-\d+\.(partial|old)$/;

let counter = 0;

/**
 * A name beside `path` that no other process uses: `NAME.MACHINE.PROCESS.THREAD-COUNT.partial`. It says who writes it,
 * so that what a killed process left can be told from what another process is writing.
 */
export async function temporaryName(path: string, ending: Ending = "partial"): Promise<string> {
  const { threadId } = await importInNode<typeof NodeThreads>("node:worker_threads");
  return `${path}.${await machineMark()}.${process.pid}.${threadId}-${counter++}.${ending}`;
}

/** Whether this is a name of {@link temporaryName}. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/** What processes left, or are writing, beside `path`. */
export interface Temporary {
  path: string;
  ending: Ending;
  /** Its process has ended, so that nobody will finish it or remove it. */
  isAbandoned: boolean;
}

/** All temporaries of `path`. */
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

/** Removes what killed processes left half written beside `path`. */
export async function sweepLeftovers(path: string): Promise<void> {
  const { rm } = await nodeFiles(`Writing ${path}`);
  for (const { path: left, isAbandoned } of await temporariesOf(path)) {
    if (isAbandoned) await rm(left, { recursive: true, force: true }).catch(() => undefined); // The next save tries again.
  }
}

/** The machine's name as a part of a file's name. */
async function machineMark(): Promise<string> {
  return (await machineName()).replaceAll(/[^\w-]/g, "-").slice(0, 40) || "machine";
}
