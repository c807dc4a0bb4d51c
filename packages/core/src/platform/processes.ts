import type * as NodeOs from "node:os";
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
