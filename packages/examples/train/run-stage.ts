import { join } from "node:path";
import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { countFlop } from "../bench/kernel-costs.js";
import { stopOnInterrupt } from "../src/cli/terminal/interrupt.js";
import { writeLossCurve } from "../src/cli/terminal/loss-curve.js";
import { withProgress } from "../src/cli/terminal/progress.js";
import type { StageFiles } from "./stage.js";

/** One stage of a training, as a script runs it. */
interface RunnableStage {
  label: string;
  /** Steps to the end, for the progress bar. */
  total: number;
  /** Folder for checkpoint, log and loss curve. */
  out: string;
  /** Folder inside `out` for the result. */
  result: string;
  train(files: StageFiles): AsyncGenerator<TrainingStep, void>;
}

/** Trains a stage to its end, with a progress bar, then draws its loss curve. Ctrl-C saves and stops. */
export async function runStage({ label, total, out, result, train }: RunnableStage): Promise<void> {
  const began = performance.now();
  await stopOnInterrupt(async (signal) => {
    const log = join(out, "loss.csv");
    const files = { checkpoint: join(out, "checkpoint.safetensors"), log, folder: join(out, result), signal };
    for await (const _ of withProgress(train(files), { label, total }));
    await writeLossCurve(log, join(out, "loss.svg"), `${label}: loss of each step, and its running mean`);
    const minutes = (performance.now() - began) / 60_000;
    console.log(`Done in ${minutes.toFixed(1)} minutes, preparations included.`);
  });
}

/** Counts the arithmetic of a stage's first step, in FLOP; its files go to `out`, which should be a new folder. */
export async function flopOfStep({ out, result, train }: RunnableStage): Promise<number> {
  const files = {
    checkpoint: join(out, "checkpoint.safetensors"),
    log: join(out, "loss.csv"),
    folder: join(out, result),
  };
  const steps = train(files);
  try {
    // The first step also prepares: pictures are encoded, networks loaded.
    await steps.next();
    return await countFlop(() => steps.next());
  } finally {
    await steps.return();
  }
}
