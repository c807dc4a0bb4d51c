import { createRequire, syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

type Calls = Record<string, (...args: never[]) => Promise<unknown>>;

/**
 * For a process that a test kills: ends it with SIGKILL in the middle of its `killAt`-th change to the file system.
 * Half of a write is made; of the other calls, every other one is made.
 */
export async function killInCall(killAt: number): Promise<void> {
  const fs = createRequire(import.meta.url)("node:fs/promises") as Calls;
  const path = join(tmpdir(), `probe-${process.pid}`);
  const probe = (await fs.open!(...([path, "w"] as never[]))) as { close(): Promise<void> };
  const handle = Object.getPrototypeOf(probe) as Calls;
  await probe.close();
  await fs.rm!(...([path] as never[]));

  let calls = 0;
  const dieIn = (owner: Calls, name: string) => {
    const original = owner[name]!;
    owner[name] = async function (this: unknown, ...args: never[]) {
      if (++calls !== killAt) return original.apply(this, args);
      const bytes = args[0] as unknown;
      if (bytes instanceof Uint8Array) await original.call(this, bytes.subarray(0, bytes.length / 2) as never);
      else if (calls % 2 === 0) await original.apply(this, args);
      process.kill(process.pid, "SIGKILL");
      return new Promise(() => {});
    };
  };
  for (const name of ["open", "rename", "link", "rm", "mkdir", "symlink", "copyFile"]) dieIn(fs, name);
  for (const name of ["write", "appendFile", "sync", "close"]) dieIn(handle, name);
  syncBuiltinESMExports();
}
