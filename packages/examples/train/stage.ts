import { warmupCosine } from "@tfjs-diffusion/core/training";

/** How long, and with what, one stage is trained. */
export interface StageSettings {
  steps: number;
  /**
   * Steps over which the learning rate falls to zero, default `steps`; more for a stage that is ended early, once it is
   * good enough. A plan that was made longer on the way: for each step from which another held, that plan's steps; the
   * rate then rises again (Loshchilov & Hutter 2017).
   */
  plannedSteps?: number | Readonly<Record<number, number>>;
  batchSize: number;
  learningRate: number;
  warmupSteps: number;
  weightDecay: number;
  beta2: number;
  gradientClip: number;
  emaDecay: number;
  /** Steps between checkpoints. */
  checkpointEvery: number;
}

/** What every stage is told, whatever it trains. */
export interface StageFiles {
  /** Checkpoint file to write, and to go on from. */
  checkpoint: string;
  /** Log file: a row a step. */
  log: string;
  /** Where the averaged weights go, as a Hugging Face folder. */
  folder: string;
  signal?: AbortSignal;
}

/** What all stages tell the training loop in the same words. */
export function stageTraining(seed: number, stage: StageSettings) {
  const { steps, plannedSteps = steps, batchSize, learningRate, warmupSteps } = stage;
  const plans = Object.entries(typeof plannedSteps === "number" ? { 0: plannedSteps } : plannedSteps)
    .map(([from, totalSteps]) => ({
      from: Number(from),
      rate: warmupCosine({ learningRate, warmupSteps, totalSteps }),
    }))
    .reverse();
  const { weightDecay, beta2, gradientClip, emaDecay } = stage;
  return {
    steps,
    batchSize,
    seed,
    optimizer: { weightDecay, beta2 },
    schedule: (step: number) => plans.find(({ from }) => step > from)!.rate(step),
    gradientClip,
    emaDecay,
  };
}
