import { isRecord, type Json, settingsDifferences } from "./checkpoint.js";
import type { LearningRate, TrainOptions } from "./train-options.js";

/** The learning rate of a step. */
export function learningRateAt(schedule: LearningRate, step: number): number {
  return typeof schedule === "number" ? schedule : schedule(step);
}

/**
 * The settings that determine the result, as plain JSON for a checkpoint. A schedule can be any function, so it is
 * represented by its rates at five steps, and its own settings if it has any.
 */
export function runSettings(options: TrainOptions, optimizer: object): Json {
  const { seed, steps, batchSize, accumulate = 1, gradientClip, emaDecay, checkpoint, parameters } = options;
  const { schedule = 1e-3 } = options;
  const sampledSteps = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.max(1, Math.round(share * steps)));
  return {
    seed,
    steps,
    batchSize,
    accumulate,
    gradientClip,
    emaDecay,
    optimizer: { ...optimizer },
    learningRate: Object.fromEntries(sampledSteps.map((step) => [`step ${step}`, learningRateAt(schedule, step)])),
    schedule: typeof schedule === "number" ? undefined : (schedule.settings as Json | undefined),
    parameters: Object.fromEntries([...parameters].map(([name, { shape }]) => [name, shape])),
    settings: checkpoint?.settings,
  };
}

/**
 * Why a run cannot continue from a checkpoint: each setting that changed, with both values. Empty if it can.
 *
 * More `steps` are allowed, also where the caller's `settings` repeat them. The learning rate must be the same at the
 * stored steps, or the schedule must be the same except for its `totalSteps`. In the second case, finished steps keep
 * their rates, and the following steps have the rates of the longer schedule.
 */
export function settingsThatChanged(was: Json, options: TrainOptions, optimizer: object): string[] {
  const now = runSettings(options, optimizer);
  if (!isRecord(was) || !isRecord(now)) return settingsDifferences(was, now);
  const { steps: stepsBefore, learningRate: ratesBefore, schedule: scheduleBefore, ...othersBefore } = was;
  const { steps, schedule: scheduleNow, learningRate: _, ...others } = now;
  const changed = settingsDifferences(othersBefore, others);
  const isLonger = typeof stepsBefore === "number" && stepsBefore < options.steps;
  if (stepsBefore !== steps && !isLonger)
    changed.push(
      `steps: was ${JSON.stringify(stepsBefore)}, now ${options.steps}; a run can be made longer, not shorter`,
    );
  const rate = changedRate(ratesBefore, options);
  if (rate !== undefined && isRecord(scheduleBefore) && isRecord(scheduleNow)) {
    const named = settingsDifferences(scheduleBefore, scheduleNow, "schedule");
    // The plan follows the steps, whose change is judged already.
    changed.push(...named.filter((name) => stepsBefore === steps || !name.startsWith("schedule.totalSteps:")));
  } else if (rate !== undefined) changed.push(rate);
  const own = [...changed, `steps: was ${JSON.stringify(stepsBefore)}, now ${options.steps}`];
  return changed.filter((difference) => !repeats(difference, own));
}

/** Whether this is a difference in the caller's settings that repeats one of the run's own options. */
function repeats(difference: string, own: readonly string[]): boolean {
  const [, option] = /^settings\.(.*)$/.exec(difference) ?? [];
  return option !== undefined && own.some((other) => other === option || other === `schedule.${option}`);
}

/** The first of the stored rates that the schedule no longer gives. */
function changedRate(rates: Json | undefined, { schedule = 1e-3 }: TrainOptions): string | undefined {
  for (const [name, was] of Object.entries(isRecord(rates) ? rates : {})) {
    const now = learningRateAt(schedule, Number(name.replace("step ", "")));
    if (now !== was) return `schedule: the learning rate of ${name} was ${JSON.stringify(was)}, now ${now}`;
  }
  return undefined;
}
