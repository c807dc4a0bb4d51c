import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { eventLoopTurn } from "../platform/event-loop.js";
import { checkedAdamWOptions } from "./adamw.js";
import { checkpointFile } from "./checkpoint-file.js";
import { checkDecay } from "./ema.js";
import { TrainingInterruptedError } from "./errors.js";
import { lockTraining } from "./training-lock.js";
import { TrainingLog } from "./training-log.js";
import type { TrainingStep, TrainOptions } from "./train-options.js";
import { TrainingRun } from "./training-run.js";

/**
 * Trains `parameters` in place and yields after every step. With a checkpoint it continues where an earlier run
 * stopped, and the result is the same bit for bit as without the stop (on the same backend). The loop may end at any
 * time, by `break`, an exception or `signal`; then everything but the parameters is freed.
 *
 * @throws NonFiniteError when the loss or a gradient is not finite
 * @throws TrainingLockedError when another training writes the same checkpoint
 * @throws TrainingInterruptedError, CheckpointWriteError, DamagedCheckpointError, CheckpointMismatchError
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainingStep, void, undefined> {
  checkOptions(options);
  const to = options.checkpoint?.to;
  const unlock = typeof to === "string" ? await lockTraining(to) : undefined;
  try {
    yield* trainAlone(options);
  } finally {
    await unlock?.();
  }
}

/** {@link train} after the checks, while no other training writes the checkpoint. */
async function* trainAlone(options: TrainOptions): AsyncGenerator<TrainingStep, void, undefined> {
  const { steps, checkpoint, onCheckpoint, signal, seed } = options;
  const store = typeof checkpoint?.to === "string" ? checkpointFile(checkpoint.to) : checkpoint?.to;
  const log = options.log === undefined ? undefined : new TrainingLog(options.log);
  const run = new TrainingRun(options, keyedNoise(seed).at("train"));
  let saved = 0;
  const save = async () => {
    if (!store || saved === run.step) return;
    await log?.flush({ sync: true });
    await run.save(store);
    saved = run.step;
  };
  const reached = () => onCheckpoint?.({ step: run.step, withEma: run.withEma });

  try {
    if (store) await run.resume(store);
    saved = run.step;
    await log?.rewind(run.step);
    if (run.step === steps) await reached();
    while (run.step < steps) {
      if (signal?.aborted) {
        await save();
        throw new TrainingInterruptedError(
          `Training stopped after step ${run.step} of ${steps}. ` +
            (store
              ? `It is saved in ${store.name}; run again to continue.`
              : "Nothing is saved, because there is no checkpoint option."),
          run.step,
        );
      }
      const result = await run.next();
      await log?.add(result);
      if (run.step % (checkpoint?.every ?? Infinity) === 0 || run.step === steps) {
        await save();
        await reached();
      }
      yield result;
      await eventLoopTurn();
    }
  } finally {
    run.dispose();
    // Lost rows are written again by the run that continues from the last checkpoint.
    await log?.flush().catch(() => undefined);
  }
}

function checkOptions(options: TrainOptions): void {
  const { steps, batchSize, accumulate = 1, gradientClip, checkpoint, seed, optimizer, emaDecay } = options;
  const counts = { steps, batchSize, accumulate, ...(checkpoint && { "checkpoint.every": checkpoint.every }) };
  for (const [name, count] of Object.entries(counts)) {
    if (!Number.isInteger(count) || count < 1)
      throw new RangeError(`train: ${name} is ${count}; it must be a whole number, 1 or more.`);
  }
  if (!Number.isSafeInteger(seed))
    throw new RangeError(`train: seed is ${seed}; it must be a whole number, such as 0.`);
  if (gradientClip !== undefined && !(gradientClip > 0)) {
    throw new RangeError(`train: gradientClip is ${gradientClip}; it must be positive, such as 1, or left out.`);
  }
  checkedAdamWOptions(optimizer);
  if (emaDecay !== undefined) checkDecay(emaDecay);
}
