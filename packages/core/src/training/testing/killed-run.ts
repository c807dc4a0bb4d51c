/**
 * A process that trains the tiny network in the given folder; kill.test.ts kills it at any moment. KILL_AT=k: it kills
 * itself in the middle of its k-th call to the file system.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { TrainingInterruptedError } from "../errors.js";
import { killInCall } from "../../testing/killed-calls.js";
import { train } from "../train.js";
import { TinyTraining } from "./tiny-training.js";

const folder = process.argv[2]!;
const killAt = Number(process.env.KILL_AT ?? Infinity);

await killInCall(killAt);

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
