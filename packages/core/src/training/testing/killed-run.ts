/**
 * A process that trains in the given folder; kill.test.ts kills it at any moment. A second argument names one of the
 * tiny methods; default: a tiny network. KILL_AT=k: it kills itself in the middle of its k-th call to the file system.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { TrainingInterruptedError } from "../errors.js";
import { killInCall } from "../../testing/killed-calls.js";
import { train } from "../train.js";
import { TINY_METHODS } from "./tiny-methods.js";
import { TinyTraining } from "./tiny-training.js";

const [folder, method] = process.argv.slice(2) as [string, string | undefined];
const killAt = Number(process.env.KILL_AT ?? Infinity);

await killInCall(killAt);

const trained = method === undefined ? {} : TINY_METHODS[method]!();
const steps = method === undefined ? 120 : 6;
const checkpoint = { to: join(folder, "checkpoint.safetensors"), every: 2 };
const stop = new AbortController();
process.on("SIGINT", () => {
  process.exitCode = 130;
  stop.abort();
});
const options = { ...trained, steps, checkpoint, log: join(folder, "log.csv"), signal: stop.signal };
try {
  for await (const { step } of train(new TinyTraining().options(options))) writeSync(1, `${step}\n`);
} catch (error) {
  if (!(error instanceof TrainingInterruptedError)) throw error;
  writeSync(2, error.message);
}
