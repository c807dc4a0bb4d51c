import type * as tf from "@tensorflow/tfjs";
import { checkLayersFinite, NonFiniteLayerError, nonFiniteValues } from "../../nn/layer-trace.js";
import { namedParameters } from "../../nn/parameter.js";

/**
 * Looks for NaN and infinity in all that a pipeline's networks compute, where its `debug` option asks for it, and names
 * the step, the network and the layer. Without that it does nothing: no kernel runs, and no layer is changed.
 */
export class FiniteWatch {
  readonly #networks: readonly [name: string, network: object][];

  /** @param parts the networks by the names that errors give them; parts that are no networks are left out */
  constructor(
    parts: object,
    readonly isOn: boolean,
  ) {
    this.#networks = isOn ? Object.entries(parts).filter((part): part is [string, object] => isNetwork(part[1])) : [];
  }

  /**
   * Runs `f`, which must not wait for anything: the networks are shared with whatever runs meanwhile.
   *
   * @param place what is being done, as "Step 1 of 20"
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

  /** @throws NonFiniteLayerError if `x`, which no layer made, has values that are not finite; `what` names it */
  see(place: string, what: string, x: tf.Tensor): void {
    const bad = this.isOn ? nonFiniteValues(x) : 0;
    if (bad === 0) return;
    throw new NonFiniteLayerError(
      `${place}: ${what} holds ${bad} values of ${x.size} that are NaN or infinite, though the networks gave none until then. ` +
        "Look at the latents and pictures that were given, the scheduler's settings and the guidance scale.",
      undefined,
    );
  }
}

/** What has weights, or a forward pass of its own. */
function isNetwork(part: unknown): part is object {
  if (typeof part !== "object" || part === null) return false;
  return "forward" in part || namedParameters(part).next().done === false;
}
