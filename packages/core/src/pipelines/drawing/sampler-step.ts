import * as tf from "@tensorflow/tfjs";
import type { Scheduler, State } from "@tfjs-diffusion/schedulers";
import { isRefusedPromise } from "../../platform/refused-promise.js";
import { PipelineOptionError } from "../options/errors.js";
import { shown } from "../options/shown.js";

/** The part of a scheduler that appears in errors. */
type Named = Pick<Scheduler, "config">;

/**
 * Checks the state that a sampler's plan returns; the sampler may be a custom class.
 *
 * @param place where in the drawing, such as "Step 1 of 20"
 * @param like a tensor of the shape that x must have; left out for the first state
 * @throws PipelineOptionError in the sampler's name: for its RangeErrors, and for what is not a state of tensors
 */
export function stateOf(scheduler: Named, place: string, give: () => State, like?: tf.Tensor): State {
  let state: State;
  try {
    state = give();
  } catch (error) {
    if (!(error instanceof RangeError) || error instanceof PipelineOptionError) throw error;
    throw new PipelineOptionError(`${said(scheduler, place)} ${error.message}`, { cause: error });
  }
  isRefusedPromise(state);
  const { x, history } = (state ?? {}) as Partial<State>;
  if (!Array.isArray(history) || !history.every((tensor) => tensor instanceof tf.Tensor)) {
    throw new PipelineOptionError(
      `${said(scheduler, place)} the plan gave ${shown(state)}; expected { x, history }, a tensor and a list of tensors.`,
    );
  }
  requireSample(scheduler, place, x, like);
  return state;
}

/** @throws PipelineOptionError in the sampler's name, unless x is a tensor, of the shape of `like` */
export function requireSample(scheduler: Named, place: string, x: unknown, like?: tf.Tensor): tf.Tensor {
  if (x instanceof tf.Tensor && (!like || (x as tf.Tensor).shape.join() === like.shape.join())) return x as tf.Tensor;
  isRefusedPromise(x);
  throw new PipelineOptionError(
    `${said(scheduler, place)} the plan gave ${shown(x)} for x; expected a tensor${like ? ` [${like.shape.join(", ")}]` : ""}.`,
  );
}

function said({ config }: Named, place: string): string {
  return `scheduler: ${config._class_name}, ${place}:`;
}
