/**
 * A process that trains the tiny network in the folder given, to be killed at any moment by kill.test.ts.
 * KILL_AT=k: it kills itself in the middle of its k-th call to the file system.
 */
import { createRequire, syncBuiltinESMExports } from "node:module";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { TrainingInterruptedError } from "../errors.js";
import { train } from "../train.js";
import { TinyTraining } from "./tiny-training.js";

const folder = process.argv[2]!;
const killAt = Number(process.env.KILL_AT ?? Infinity);

const fs = createRequire(import.meta.url)("node:fs/promises") as Record<string, (...args: never[]) => Promise<unknown>>;
const probe = (await fs.open!(...([join(folder, "probe"), "w"] as never[]))) as { close(): Promise<void> };
const handle = Object.getPrototypeOf(probe) as typeof fs;
await probe.close();

let calls = 0;
function dieIn(owner: typeof fs, name: string): void {
  const original = owner[name]!;
  owner[name] = async function (this: unknown, ...args: never[]) {
    if (++calls !== killAt) return original.apply(this, args);
    const bytes = args[0] as unknown;
    if (bytes instanceof Uint8Array) await original.call(this, bytes.subarray(0, bytes.length / 2) as never);
    else if (calls % 2 === 0) await original.apply(this, args);
    process.kill(process.pid, "SIGKILL");
    return new Promise(() => {});
  };
}
for (const name of ["open", "rename", "link", "rm"]) dieIn(fs, name);
for (const name of ["write", "appendFile", "sync", "close"]) dieIn(handle, name);
syncBuiltinESMExports();

const tiny = new TinyTraining();
const checkpoint = { to: join(folder, "checkpoint.safetensors"), every: 2 };
const stop = new AbortController();
process.on("SIGINT", () => {
  process.exitCode = 130;
  stop.abort();
});
const options = { steps: 120, checkpoint, log: join(folder, "log.csv"), signal: stop.signal };
try {
  for await (const { step } of train(tiny.options(options))) writeSync(1, `${step}\n`);
} catch (error) {
  if (!(error instanceof TrainingInterruptedError)) throw error;
  writeSync(2, error.message);
}
