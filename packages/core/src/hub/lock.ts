import type * as NodeOs from "node:os";
import { importInNode } from "../platform/node-only.js";
import { nodeFiles } from "../platform/files.js";
import { pause } from "./request.js";

/** How often a holder shows that it lives, and after how long without that it counts as dead, in milliseconds. */
export interface LockTimes {
  beat: number;
  dead: number;
}

const TIMES: LockTimes = { beat: 2_000, dead: 20_000 };

/** A lock that is held. */
export interface HeldLock {
  /** Throws if another process may have taken the lock meanwhile, as after the machine slept. */
  check(): void;
}

/** Thrown by {@link HeldLock.check}. */
export class LockLostError extends Error {
  override name = "LockLostError";
}

/**
 * Runs `work` while no other process does under the same lock file; waits for its turn. A lock whose holder was killed
 * is taken over: at once where that can be seen, else after `times.dead` without a sign of life. No clocks are
 * compared, so it works on shared disks too.
 */
export async function locked<T>(
  path: string,
  work: (lock: HeldLock) => Promise<T>,
  { signal, times = TIMES }: { signal?: AbortSignal; times?: LockTimes } = {},
): Promise<T> {
  const files = await nodeFiles(`Locking ${path}`);
  const { hostname } = await importInNode<typeof NodeOs>("node:os");
  const own = `${hostname()} ${process.pid} ${crypto.randomUUID()}`;
  await files.mkdir(path.replace(/[^/\\]*$/, ""), { recursive: true });
  await acquire(path, own, hostname(), signal, times);

  let lastBeat = performance.now();
  let lost = false;
  const read = () => files.readFile(path, "utf8").catch(() => undefined);
  const timer = setInterval(() => {
    const beat = async () => {
      const text = await read();
      if (text === own) {
        await files.utimes(path, new Date(), new Date());
        lastBeat = performance.now();
      } else if (text !== undefined) lost = true;
    };
    beat().catch(() => undefined); // a sign of life that fails is one that is missing
  }, times.beat);
  try {
    return await work({
      check: () => {
        if (lost || performance.now() - lastBeat > times.dead / 2) {
          throw new LockLostError(`${path} was held too long without a sign of life, and may have been taken over.`);
        }
      },
    });
  } finally {
    clearInterval(timer);
    if ((await read()) === own) await files.rm(path, { force: true });
  }
}

async function acquire(path: string, own: string, host: string, signal: AbortSignal | undefined, times: LockTimes) {
  const files = await nodeFiles(`Locking ${path}`);
  let seen: string | undefined;
  let since = performance.now();
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await files.writeFile(path, own, { flag: "wx" });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const text = await files.readFile(path, "utf8").catch(() => undefined);
    const beat = await files
      .stat(path)
      .then(({ mtimeMs }) => mtimeMs)
      .catch(() => undefined);
    if (text !== undefined && beat !== undefined) {
      const sign = `${text} ${beat}`;
      if (sign !== seen) [seen, since] = [sign, performance.now()];
      else if (performance.now() - since > times.dead || isDead(text, host)) await remove(path, text);
    }
    await pause(Math.min(100, times.beat / 4), signal);
  }
}

/** Removes a dead holder's lock, unless it is another one's by now. Of several that try, one can rename. */
async function remove(path: string, text: string): Promise<void> {
  const files = await nodeFiles(`Locking ${path}`);
  const aside = `${path}.${crypto.randomUUID()}`;
  if (
    await files.rename(path, aside).then(
      () => true,
      () => false,
    )
  ) {
    const taken = await files.readFile(aside, "utf8").catch(() => text);
    // It was a living one's after all: it is put back, where nobody was quicker.
    if (taken !== text) await files.link(aside, path).catch(() => undefined);
    await files.rm(aside, { force: true });
  }
}

/** The holder was a process of this machine, and is no more. */
function isDead(text: string, host: string): boolean {
  const [at, pid] = text.split(" ");
  if (at !== host || !/^\d+$/.test(pid ?? "")) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
