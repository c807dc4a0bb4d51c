import { warmupCosine } from "@tfjs-diffusion/core/training";

/** The hyperparameters of one stage of training. */
export interface StageSettings {
  steps: number;
  /**
   * Steps over which the learning rate falls to zero, default `steps`. More than `steps` for a stage that ends early,
   * once it is good enough. A list if the plan was made longer during training: for each change, the step from which it
   * holds and the new number of steps; the rate then rises again (Loshchilov & Hutter 2017).
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

/** The files of every stage. */
export interface StageFiles {
  /** Checkpoint file to write, and to resume from. */
  checkpoint: string;
  /** Log file with a row for each step. */
  log: string;
  /** The folder for the averaged weights, in the Hugging Face layout. */
  folder: string;
  signal?: AbortSignal;
}

/** The options of the training loop that all stages share. */
export function stageTraining(seed: number, stage: StageSettings) {
  const { steps, plannedSteps = steps, batchSize, learningRate, warmupSteps } = stage;
  const cosine = (totalSteps: number) => warmupCosine({ learningRate, warmupSteps, totalSteps });
  const { weightDecay, beta2, gradientClip, emaDecay } = stage;
  return {
    steps,
    batchSize,
    seed,
    optimizer: { weightDecay, beta2 },
    schedule: typeof plannedSteps === "number" ? cosine(plannedSteps) : inTurn(plannedSteps, cosine),
    gradientClip,
    emaDecay,
  };
}

/** The rates of several plans, each from the step on that it is listed under. */
function inTurn(plans: Readonly<Record<number, number>>, cosine: (totalSteps: number) => (step: number) => number) {
  const turns = Object.entries(plans)
    .map(([from, totalSteps]) => ({ from: Number(from), rate: cosine(totalSteps) }))
    .reverse();
  return (step: number) => turns.find(({ from }) => step > from)!.rate(step);
}
