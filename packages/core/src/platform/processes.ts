import type * as NodeOs from "node:os";
import { nodeFiles } from "./files.js";
import { importInNode } from "./node-only.js";

/** The name of this machine (Node). */
export async function machineName(): Promise<string> {
  const { hostname } = await importInNode<typeof NodeOs>("node:os");
  return hostname();
}

/** Whether a process of this machine has ended (Node). A process of another user counts as running. */
export function hasEnded(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/**
 * Whether the process that created a file on this machine has ended. Process numbers are reused: a file with this
 * process's number that is older than the process is not its own.
 */
export async function isOver(pid: number, path: string): Promise<boolean> {
  if (pid !== process.pid) return hasEnded(pid);
  const { lstat } = await nodeFiles(`Looking for ${path}`);
  const { birthtimeMs, mtimeMs } = await lstat(path).catch(() => ({ birthtimeMs: Infinity, mtimeMs: Infinity }));
  return Math.max(birthtimeMs, mtimeMs) < Date.now() - process.uptime() * 1000;
}
