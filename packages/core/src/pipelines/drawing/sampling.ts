import * as tf from "@tensorflow/tfjs";
import type { NoiseSource, Plan, State, StepOptions } from "@tfjs-diffusion/schedulers";
import { FiniteWatch } from "./finite-watch.js";

const { getTensorsInContainer: tensorsIn } = tf.tensor_util;

/** What {@link sample} shows after each step of a plan. */
export interface SamplingStep<T extends tf.Tensor = tf.Tensor4D> {
  /** Counts from 0. */
  readonly index: number;
  /** How many steps there are: one for each call of the network. */
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The sample after this step; lent until the next step, `clone()` it to keep it. */
  readonly x: T;
}

/**
 * The loop all pipelines share: from a start to the last step of `plan`, one call of the network after the other.
 *
 * The generator owns the state between steps and frees it when it ends, however it ends: at the last step, when the
 * caller leaves its loop, throws, or aborts. Between steps it lets timers, signals and the page have their turn.
 *
 * @param start makes the first state, by `plan.start` or `plan.resume`; the generator owns it
 * @param first index of the first step, larger than 0 for a start in the middle
 * @param end index after the last step, default: all steps of the plan
 * @param denoise the network's output for an input already scaled by the plan; its result is owned here
 * @param mend changes the sample after a step; runs in a tidy
 * @param stepOptions handed to every `plan.step`
 * @param watch looks for NaN in each step, if it is on
 */
export async function* sample<T extends tf.Tensor = tf.Tensor4D>({
  plan,
  start,
  first = 0,
  end = plan.timesteps.length,
  denoise,
  mend = (x) => x,
  noise,
  stepOptions,
  signal,
  watch = new FiniteWatch({}, false),
}: {
  plan: Plan;
  start: () => State;
  first?: number;
  end?: number;
  denoise: (input: T, timestep: number, index: number) => T;
  mend?: (x: T, index: number) => T;
  noise: NoiseSource;
  stepOptions?: StepOptions;
  signal?: AbortSignal;
  watch?: FiniteWatch;
}): AsyncGenerator<SamplingStep<T>, void, undefined> {
  signal?.throwIfAborted();
  const total = plan.timesteps.length;
  let state = tf.tidy(start);
  try {
    for (let index = first; index < end; index++) {
      const timestep = plan.timesteps[index]!;
      const place = `Step ${index - first + 1} of ${end - first} (timestep ${timestep})`;
      const next = tf.tidy(() => {
        const input = plan.scaleInput(state.x, index) as T;
        watch.see(place, "what the network is given", input);
        const output = watch.over(place, () => denoise(input, timestep, index));
        const stepped = plan.step(state, output, index, noise, stepOptions);
        const x = mend(stepped.x as T, index);
        watch.see(place, "what the sampler made of the network's answer", x);
        return { ...stepped, x };
      });
      disposeUnless(next, state);
      state = next;
      await turnOfOthers();
      signal?.throwIfAborted();
      yield { index, total, timestep, x: state.x as T };
      signal?.throwIfAborted(); // After the last step too: what follows it, as decoding, is work.
    }
  } finally {
    tf.dispose(state);
  }
}

/** Frees the tensors of `old`, but for those that live on in `kept`. */
function disposeUnless(kept: State, old: State): void {
  const living = new Set(tensorsIn(kept));
  for (const tensor of tensorsIn(old)) if (!living.has(tensor)) tensor.dispose();
}

/** A timer, not an animation frame: a browser stops those in a tab that is not looked at. */
export function turnOfOthers(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
