import * as tf from "@tensorflow/tfjs";
import type { NoiseSource, Plan, State } from "@tfjs-diffusion/schedulers";

/** What {@link sample} shows after each step of a plan. */
export interface SamplingStep {
  /** Counts from 0. */
  readonly index: number;
  /** How many steps there are: one for each call of the network. */
  readonly total: number;
  /** The timestep the network was asked about. */
  readonly timestep: number;
  /** The sample after this step; lent until the next step, `clone()` it to keep it. */
  readonly x: tf.Tensor4D;
}

/**
 * The loop all pipelines share: from a start to the last step of `plan`, one call of the network after the other.
 *
 * The generator owns the state between steps and frees it when it ends, however it ends: at the last step, when the
 * caller leaves its loop, throws, or aborts. Between steps it lets timers, signals and the page have their turn.
 *
 * @param start makes the first state, by `plan.start` or `plan.resume`; the generator owns it
 * @param first index of the first step, larger than 0 for a start in the middle
 * @param denoise the network's output for an input already scaled by the plan; its result is owned here
 */
export async function* sample({
  plan,
  start,
  first = 0,
  denoise,
  noise,
  signal,
}: {
  plan: Plan;
  start: () => State;
  first?: number;
  denoise: (input: tf.Tensor4D, timestep: number) => tf.Tensor4D;
  noise: NoiseSource;
  signal?: AbortSignal;
}): AsyncGenerator<SamplingStep, void, undefined> {
  signal?.throwIfAborted();
  const total = plan.timesteps.length;
  let state = tidyState(start);
  try {
    for (let index = first; index < total; index++) {
      const timestep = plan.timesteps[index]!;
      const next = tidyState(() => {
        const output = denoise(plan.scaleInput(state.x, index) as tf.Tensor4D, timestep);
        return plan.step(state, output, index, noise);
      });
      disposeUnless(next, state);
      state = next;
      await turnOfOthers();
      signal?.throwIfAborted();
      yield { index, total, timestep, x: state.x as tf.Tensor4D };
    }
  } finally {
    tf.dispose(tensorsOf(state));
  }
}

/** Frees the tensors of `old`, but for those that live on in `kept`. */
function disposeUnless(kept: State, old: State): void {
  const living = new Set(tensorsOf(kept));
  for (const tensor of tensorsOf(old)) if (!living.has(tensor)) tensor.dispose();
}

/** `tf.tidy` for a state: its type does not say so, but it is an object of tensors and lists of them. */
function tidyState(work: () => State): State {
  return tf.tidy(work as unknown as () => tf.TensorContainer) as unknown as State;
}

function tensorsOf(state: State): tf.Tensor[] {
  return tf.tensor_util.getTensorsInContainer(state as unknown as tf.TensorContainer);
}

/** A timer, not an animation frame: a browser stops those in a tab that is not looked at. */
function turnOfOthers(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
