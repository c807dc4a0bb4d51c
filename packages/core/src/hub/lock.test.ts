import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { locked, LockLostError } from "./lock.js";
import { pause } from "./request.js";

const TIMES = { beat: 20, dead: 300 };

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
  path = join(folder, "x.lock");
});
afterEach(() => rm(folder, { recursive: true }));

describe("A lock", () => {
  it("is held by one at a time, and is removed after the last, also after an error", async () => {
    let inside = 0;
    const most: number[] = [];
    const work = async (i: number) =>
      locked(
        path,
        async () => {
          most.push(++inside);
          await pause(5);
          inside--;
          if (i === 3) throw new Error("failed");
        },
        { times: TIMES },
      ).catch(() => undefined);
    await Promise.all(Array.from({ length: 10 }, (_, i) => work(i)));
    expect(most).toEqual(Array(10).fill(1));
    expect(await readdir(folder)).toEqual([]);
  });

  it("is not taken from a running process, however long it needs it", async () => {
    const order: string[] = [];
    const first = locked(path, () => pause(3 * TIMES.dead).then(() => void order.push("first")), { times: TIMES });
    await pause(20);
    await locked(path, async () => void order.push("second"), { times: TIMES });
    await first;
    expect(order).toEqual(["first", "second"]);
  });

  it("of a process that has ended is taken over immediately", async () => {
    const child = spawn(process.execPath, ["-e", ""], { stdio: "ignore" });
    await once(child, "exit");
    await writeFile(path, `${hostname()} ${child.pid} ab`);
    const start = performance.now();
    await locked(path, async () => {}, { times: { beat: 1000, dead: 60_000 } });
    expect(performance.now() - start).toBeLessThan(30_000);
    expect(await readdir(folder)).toEqual([]);
  });

  it("of another machine is taken over if it is not touched, for any clock of that machine", async () => {
    await writeFile(path, "elsewhere 1 ab");
    await utimes(path, new Date(2100, 0), new Date(2100, 0));
    await locked(path, async () => {}, { times: TIMES });
    await writeFile(path, "elsewhere 1 ab");
    const beating = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), TIMES.beat);
    const stop = AbortSignal.timeout(2 * TIMES.dead);
    const error = await locked(path, async () => {}, { times: TIMES, signal: stop }).catch((error: unknown) => error);
    expect(error).toBe(stop.reason);
    clearInterval(beating);
    expect(await readFile(path, "utf8")).toBe("elsewhere 1 ab");
  });

  it("that was taken over is lost: its former holder must stop, and leaves the new lock", async () => {
    const work = locked(
      path,
      async (lock) => {
        lock.check();
        await writeFile(path, "elsewhere 1 ab");
        await pause(5 * TIMES.beat);
        lock.check();
      },
      { times: TIMES },
    );
    await expect(work).rejects.toThrow(LockLostError);
    expect(await readFile(path, "utf8")).toBe("elsewhere 1 ab");
  });
});
