import type * as tf from "@tensorflow/tfjs";
import { checkLayersFinite, NonFiniteLayerError, nonFiniteValues } from "../../nn/layer-trace.js";
import { namedParameters } from "../../nn/parameter.js";

/**
 * With the option `debug`, checks every layer's output in a pipeline's networks for NaN and infinity, and names the
 * step, the network and the layer. Without it no kernel runs and no layer is changed.
 */
export class FiniteWatch {
  readonly #networks: readonly [name: string, network: object][];

  /** @param parts the networks by their names in errors; parts that are not networks are ignored */
  constructor(
    parts: object,
    readonly isOn: boolean,
  ) {
    this.#networks = isOn ? Object.entries(parts).filter((part): part is [string, object] => isNetwork(part[1])) : [];
  }

  /**
   * Runs `f`, which must be synchronous: other code that shares the networks may run between asynchronous calls.
   *
   * @param place where the pipeline is, such as "Step 1 of 20"
   * @throws NonFiniteLayerError
   */
  over<T>(place: string, f: () => T): T {
    if (!this.isOn) return f();
    const ends = this.#networks.map(([name, network]) => checkLayersFinite(network, `${place}, ${name}: `));
    try {
      return f();
    } finally {
      for (const end of ends.reverse()) end();
    }
  }

  /**
   * @throws NonFiniteLayerError if `x`, which is not the output of a layer, has values that are not finite; `what`
   *   names it
   */
  see(place: string, what: string, x: tf.Tensor): void {
    const bad = this.isOn ? nonFiniteValues(x) : 0;
    if (bad === 0) return;
    throw new NonFiniteLayerError(
      `${place}: ${what} holds ${bad} of ${x.size} values that are NaN or infinite. All outputs of the networks were finite before. ` +
        "Check the given latents and pictures, the scheduler's settings and the guidance scale.",
      undefined,
    );
  }
}

/** A part is a network if it has weights or a forward pass. */
function isNetwork(part: unknown): part is object {
  if (typeof part !== "object" || part === null) return false;
  return "forward" in part || namedParameters(part).next().done === false;
}
