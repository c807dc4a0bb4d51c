import * as tf from "@tensorflow/tfjs";
import {
  type Level,
  type NoiseSource,
  type Plan,
  predictX0,
  type PredictionType,
  type Scheduler,
  type State,
  type StepOptions,
} from "@tfjs-diffusion/schedulers";
import { eventLoopTurn } from "../../platform/event-loop.js";
import type { PipelineStep } from "../pipeline-step.js";
import { StepChecks } from "./finite-results.js";
import { FiniteWatch } from "./finite-watch.js";
import { predictionIn } from "./guidance.js";
import { requireSample, stateOf } from "./sampler-step.js";
import { inSlices, type Slice } from "./slices.js";

const { getTensorsInContainer: tensorsIn } = tf.tensor_util;

/** The arguments of {@link sample}. */
export interface SamplingRun<T extends tf.Tensor> {
  scheduler: Pick<Scheduler, "config" | "predictX0">;
  plan: Plan;
  /** Makes the first state with `plan.start` or `plan.resume`; the generator owns it. */
  start: () => State;
  /** Index of the first call; above 0 to start in the middle. */
  first?: number;
  /** Index after the last call. Default: all calls of the plan. */
  end?: number;
  /**
   * Computes the network's output for the pictures of a slice, whose input the plan has scaled; runs in a tidy. The
   * generator owns the result.
   */
  denoise: (input: T, timestep: number, index: number, slice: Slice) => T;
  /** Most pictures that `denoise` gets at once. Default: all. */
  atOnce?: number | undefined;
  /** Changes the sample after a step; runs in a tidy. */
  restore?: (x: T, index: number) => T;
  noise: NoiseSource;
  /** Passed to every `plan.step`. */
  stepOptions?: StepOptions;
  signal?: AbortSignal;
  /** With the option `debug`, checks each step for NaN and infinity. */
  watch?: FiniteWatch;
  /** Turns the sample into a picture, for `step.preview()`. */
  preview: (x: T) => tf.Tensor4D;
}

/**
 * The sampling loop of all pipelines: calls the network for each call of `plan` in turn, from `first` to `end`.
 *
 * The generator owns the state between steps. It frees the state when it ends: after the last step, or when the caller
 * leaves the loop, throws or aborts. Between steps it yields to the event loop, so that timers, signals and the page
 * can run. Steps are counted from 0, even if sampling starts in the middle of the plan.
 *
 * @throws NonFiniteResultError at the first step whose output or sample is not finite; on a graphics card one step late
 */
export async function* sample<T extends tf.Tensor = tf.Tensor4D>({
  scheduler,
  plan,
  start,
  first = 0,
  end = plan.timesteps.length,
  denoise,
  atOnce,
  restore = (x) => x,
  noise,
  stepOptions,
  signal,
  watch = new FiniteWatch({}, false),
  preview,
}: SamplingRun<T>): AsyncGenerator<CurrentStep<T>, void, undefined> {
  signal?.throwIfAborted();
  let state = tf.tidy(() => stateOf(scheduler, "before the first step", start));
  const checks = new StepChecks();
  try {
    for (let call = first; call < end; call++) {
      const [index, total, timestep] = [call - first, end - first, plan.timesteps[call]!];
      const [step, steps] = [stepsOf(plan, first, call) - 1, stepsOf(plan, first, end - 1)];
      const place = `Step ${step + 1} of ${steps} (timestep ${timestep})`;
      const { output, next } = await advance(state, call, place);
      const before = state.x;
      disposeUnless([next, before, output], state);
      state = next;
      const current = new CurrentStep(
        { index, total, step, steps, timestep, latents: next.x, output },
        () => cleanSample(scheduler, predictionIn(output, next.x), before, plan.levels[call]!) as T,
        (sample = next.x) => preview(sample),
      );
      try {
        // The output, too: a sampler that clips its sample would hide it.
        await checks.add(place, step, { "the network's output": output, "the latents": next.x });
        if (index === total - 1) await checks.end();
        await eventLoopTurn();
        signal?.throwIfAborted();
        yield current;
        signal?.throwIfAborted(); // Also after the last step, because decoding would follow.
      } finally {
        current.end();
        disposeUnless(state, [before, output]);
      }
    }
  } finally {
    tf.dispose(state);
  }

  /** One call of the network, and the sampler's step. Borrows the state; the caller owns the results. */
  async function advance(state: State, call: number, place: string): Promise<Advance<T>> {
    const input = tf.tidy(() => requireSample(scheduler, place, plan.scaleInput(state.x, call), state.x) as T);
    let output: T | undefined;
    let made: Advance<T> | undefined;
    try {
      watch.see(place, "the network's input", input);
      const one = (part: T, slice: Slice) => watch.over(place, () => denoise(part, plan.timesteps[call]!, call, slice));
      const predicted = (output = await inSlices(input, one, { atOnce, signal }));
      const next = tf.tidy(() => {
        const take = () => plan.step(state, predicted, call, noise, stepOptions);
        const stepped = stateOf(scheduler, place, take, state.x);
        const x = restore(stepped.x as T, call);
        watch.see(place, "the sampler's result", x);
        return { ...stepped, x };
      });
      return (made = { output: predicted, next });
    } finally {
      disposeUnless([state, made ?? []] as tf.TensorContainer, [input, output ?? []]);
    }
  }
}

/** How many steps the calls from `first` to `last` are of. */
function stepsOf({ stepStarts }: Plan, first: number, last: number): number {
  return 1 + stepStarts.filter((start) => first < start && start <= last).length;
}

/** The network's output of a step, and the state after it. */
type Advance<T extends tf.Tensor> = { output: T; next: State & { x: T } };

/** A {@link PipelineStep} whose tensors are freed when the loop continues. */
class CurrentStep<T extends tf.Tensor> implements PipelineStep<T> {
  // Not readonly: a pipeline with several stages renumbers the steps over all stages.
  index: number;
  total: number;
  step: number;
  steps: number;
  readonly timestep: number;
  readonly latents: T;
  readonly output: T;
  #x0: T | undefined;
  #hasEnded = false;

  constructor(
    { index, total, step, steps, timestep, latents, output }: Omit<PipelineStep<T>, "x0" | "preview">,
    readonly predictX0: () => T,
    readonly preview: (sample?: T) => tf.Tensor4D,
  ) {
    this.index = index;
    this.total = total;
    this.step = step;
    this.steps = steps;
    this.timestep = timestep;
    this.latents = latents;
    this.output = output;
  }

  get x0(): T {
    if (this.#hasEnded) {
      throw new Error("step.x0: this step has ended and its tensors are freed; read x0 before the next step.");
    }
    // tf.keep: the tidy in which it is first read must not free it.
    return (this.#x0 ??= tf.keep(tf.tidy(this.predictX0)));
  }

  end(): void {
    this.#hasEnded = true;
    this.#x0?.dispose();
  }
}

/** x0 as the scheduler computes it, or by its config's prediction type if it has no such method. */
function cleanSample(scheduler: SamplingRun<tf.Tensor>["scheduler"], output: tf.Tensor, x: tf.Tensor, level: Level) {
  const { prediction_type = "epsilon" } = scheduler.config;
  return scheduler.predictX0?.(output, x, level) ?? predictX0(prediction_type as PredictionType, output, x, level);
}

/** Frees the tensors in `old` that are not also in `kept`. */
function disposeUnless(kept: tf.TensorContainer, old: tf.TensorContainer): void {
  const living = new Set(tensorsIn(kept));
  for (const tensor of tensorsIn(old)) if (!living.has(tensor)) tensor.dispose();
}
