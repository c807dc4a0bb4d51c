import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { Presets, SingleBar } from "cli-progress";

/** Weight of a new loss in the mean that is shown: about the last fifty steps count. */
const FRESH = 0.02;

/**
 * Passes on the steps of a training and shows a bar with loss, speed and the time left, or a line every ten seconds if
 * the output is not a terminal. It ends with the training, also if that stops early or throws.
 */
export async function* withProgress(
  steps: AsyncIterable<TrainingStep>,
  { label, total, stream = process.stderr }: { label: string; total: number; stream?: NodeJS.WritableStream },
): AsyncGenerator<TrainingStep, void, undefined> {
  const bar = new SingleBar(
    {
      format: `${label} {bar} {value}/{total} | loss {loss} | {speed} pictures/s | {eta_formatted} left`,
      stream,
      // The load of the machine changes the time of a step: the last two hundred steps estimate the time left.
      etaBuffer: 200,
      fps: 4,
      noTTYOutput: true,
      notTTYSchedule: 10_000,
      hideCursor: true,
      stopOnComplete: false,
    },
    Presets.shades_classic,
  );
  let meanLoss: number | undefined;
  try {
    for await (const step of steps) {
      if (meanLoss === undefined) bar.start(total, step.step - 1, { loss: "-", speed: "-" });
      meanLoss = meanLoss === undefined ? step.loss : meanLoss + FRESH * (step.loss - meanLoss);
      bar.update(step.step, { loss: meanLoss.toPrecision(4), speed: step.imagesPerSecond.toFixed(0) });
      yield step;
    }
  } finally {
    if (meanLoss !== undefined) bar.stop();
  }
}
