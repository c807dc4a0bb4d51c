import { nodeFiles } from "../platform/files.js";
import { hasEnded, machineName } from "../platform/processes.js";
import { pause } from "./request.js";

/**
 * How often the holder of a lock touches it, and how long a lock without a touch is considered held, in milliseconds.
 */
export interface LockTimes {
  beat: number;
  dead: number;
}

const TIMES: LockTimes = { beat: 2_000, dead: 20_000 };

/** A lock that is held. */
export interface HeldLock {
  /** Throws if another process may have taken the lock over, for example while the machine slept. */
  check(): void;
}

/** Thrown by {@link HeldLock.check}. */
export class LockLostError extends Error {
  override name = "LockLostError";
}

/**
 * Runs `work` while holding a lock file, after waiting for its turn. The lock of a killed process is taken over:
 * immediately if the process ran on this machine, otherwise after `times.dead` milliseconds without a touch. Clocks of
 * different machines are never compared, so it also works on shared disks.
 */
export async function locked<T>(
  path: string,
  work: (lock: HeldLock) => Promise<T>,
  { signal, times = TIMES }: { signal?: AbortSignal; times?: LockTimes } = {},
): Promise<T> {
  const files = await nodeFiles(`Locking ${path}`);
  const host = await machineName();
  const own = `${host} ${process.pid} ${crypto.randomUUID()}`;
  await files.mkdir(path.replace(/[^/\\]*$/, ""), { recursive: true });
  await acquire(path, own, host, signal, times);

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
    beat().catch(() => undefined); // A failed touch counts as none.
  }, times.beat);
  try {
    return await work({
      check: () => {
        if (lost || performance.now() - lastBeat > times.dead / 2) {
          throw new LockLostError(`${path} was held too long without being touched, and may have been taken over.`);
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

/** Removes an abandoned lock, unless it has a new holder by now. If several processes try, only one rename succeeds. */
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
    // The lock had a new holder after all: put it back, unless another process has taken it.
    if (taken !== text) await files.link(aside, path).catch(() => undefined);
    await files.rm(aside, { force: true });
  }
}

/** Whether the holder was a process of this machine that has ended. */
function isDead(text: string, host: string): boolean {
  const [at, pid] = text.split(" ");
  return at === host && /^\d+$/.test(pid ?? "") && hasEnded(Number(pid));
}
