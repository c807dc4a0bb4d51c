import * as tf from "@tensorflow/tfjs";
import { requireLive } from "../platform/disposed.js";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import type { LoraPart } from "../adapters/lora-models.js";
import type { Model } from "../models/model.js";
import type { Parameter } from "../nn/parameter.js";
import { writeSafetensors } from "../weights/write-safetensors.js";

/** Which layers a {@link TrainableLora} changes, and with which rank. */
export interface TrainableLoraOptions {
  /** Name of the network in a pipeline, which begins the names in the file. Default "unet". */
  part?: LoraPart;
  /** Rank of each change, a whole number, 1 or more. Default 4. */
  rank?: number;
  /** The change is multiplied by alpha / rank. Default: the rank. */
  alpha?: number;
  /**
   * Which linear layers and convolutions to change, by the ends of their names. Default: the four layers of every
   * attention.
   */
  targets?: readonly string[];
  /** Source of the random initial values. */
  noise: NoiseSource;
}

const ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"];

interface Pair {
  parameter: Parameter;
  /** [rank, in], or [rank, in, height, width] for a convolution. */
  down: tf.Variable;
  /** [out, rank], or [out, rank, 1, 1]. */
  up: tf.Variable;
}

/**
 * A low-rank adaptation that is being trained (Hu et al. 2022): W' = W + alpha / rank * up down. W is constant; `up`,
 * which starts at zero, and `down` are trained.
 *
 *     const lora = new TrainableLora(unet, { rank: 4, noise });
 *     train({ parameters: lora.parameters(), loss: (context) => lora.within(() => lossOf(unet, context)), ... });
 *     await lora.save("style/pytorch_lora_weights.safetensors");
 */
export class TrainableLora {
  readonly #pairs = new Map<string, Pair>();
  readonly #part: LoraPart;
  readonly #rank: number;
  readonly #alpha: number;
  readonly #targets: readonly string[];
  #isDisposed = false;

  /** @throws RangeError if the rank or alpha is not valid, or a target names no layer of the network */
  constructor(
    model: Model,
    { part = "unet", rank = 4, alpha = rank, targets = ATTENTION, noise }: TrainableLoraOptions,
  ) {
    if (!(Number.isInteger(rank) && rank > 0)) {
      throw new RangeError(`TrainableLora: rank is ${rank}; it must be a whole number, 1 or more, such as 4.`);
    }
    if (!Number.isFinite(alpha) || alpha === 0) {
      throw new RangeError(`TrainableLora: alpha is ${alpha}; it must be a number other than 0, such as the rank.`);
    }
    [this.#part, this.#rank, this.#alpha, this.#targets] = [part, rank, alpha, targets];
    const chosen = chosenLayers(model, targets);
    for (const [module, parameter] of chosen) {
      // For a convolution, lora_A is a convolution to `rank` channels and lora_B a 1 x 1 convolution.
      const [outFeatures, ...rest] = parameter.diskShape as [number, ...number[]];
      const bound = 1 / Math.sqrt(tf.util.sizeFromShape(rest));
      const draw = () =>
        noise
          .uniform([rank, ...rest])
          .mul(2 * bound)
          .sub(bound);
      const pair = tf.tidy(() => ({
        down: tf.variable(draw()),
        up: tf.variable(tf.zeros([outFeatures, rank, ...rest.slice(1).map(() => 1)])),
      }));
      this.#pairs.set(module, { parameter, ...pair });
    }
  }

  /** The trained variables, by the names that PEFT and diffusers use. They belong to the LoRA. */
  parameters(): Map<string, tf.Variable> {
    this.#requireLive();
    return new Map(
      [...this.#pairs].flatMap(([module, { down, up }]) => [
        [`${this.#part}.${module}.lora_A.weight`, down] as const,
        [`${this.#part}.${module}.lora_B.weight`, up] as const,
      ]),
    );
  }

  /**
   * Runs `body`, which must be synchronous, with the changed weights in the network. Gradients reach the LoRA through
   * them.
   */
  within<T extends tf.TensorContainer>(body: () => T): T {
    this.#requireLive();
    const pairs = [...this.#pairs.values()];
    return tf.tidy(() => {
      try {
        for (const { parameter, down, up } of pairs) {
          const product = tf.matMul(up.reshape([-1, this.#rank]), down.reshape([this.#rank, -1]));
          const change = parameter.inMemoryOrder(product.reshape(parameter.diskShape));
          parameter.standIn = parameter.variable.add(change.mul(this.#alpha / this.#rank));
        }
        return body();
      } finally {
        for (const { parameter } of pairs) parameter.standIn = undefined;
      }
    });
  }

  /**
   * Writes the LoRA as diffusers does, with PEFT's names and settings, so that `pipeline.loras.load(file)` reads it.
   */
  async save(file: string, { dtype = "F32" }: { dtype?: "F32" | "F16" } = {}): Promise<void> {
    const tensors = new Map(
      [...this.parameters()].map(([name, variable]) => [
        name,
        { dtype, shape: variable.shape, data: async () => (await variable.data()) as Float32Array },
      ]),
    );
    const settings = { peft_type: "LORA", r: this.#rank, lora_alpha: this.#alpha, target_modules: this.#targets };
    const named = Object.entries(settings).map(([key, value]) => [`${this.#part}.${key}`, value]);
    const metadata = { format: "pt", lora_adapter_metadata: JSON.stringify(Object.fromEntries(named)) };
    await writeSafetensors(file, tensors, metadata);
  }

  /** Frees the LoRA; the network stays as it is. */
  dispose(): void {
    this.#isDisposed = true;
    for (const { down, up } of this.#pairs.values()) tf.dispose([down, up]);
    this.#pairs.clear();
  }

  #requireLive(): void {
    requireLive(this.#isDisposed, "TrainableLora", "save it before, or make a new one");
  }
}

/** The layers whose names end with one of the targets: [name, weight]. */
function chosenLayers(model: Model, targets: readonly string[]): [string, Parameter][] {
  const layers = [...model.namedParameters()]
    .filter(([name, { layout }]) => layout !== "same" && name.endsWith(".weight"))
    .map(([name, parameter]) => [name.slice(0, -".weight".length), parameter] as [string, Parameter]);
  const isChosen = (name: string, target: string) => name === target || name.endsWith(`.${target}`);
  const idle = targets.filter((target) => !layers.some(([name]) => isChosen(name, target)));
  if (targets.length === 0 || idle.length > 0) {
    const ends = [...new Set(layers.map(([name]) => name.replace(/^.*\.(?=[a-z])/, "")))];
    throw new RangeError(
      `TrainableLora: targets ${JSON.stringify(targets)}: ${idle.length ? `no linear layer or convolution has a name that ends with ${idle.join(" or ")}` : "none is given"}. ` +
        `The network has: ${ends.join(", ")}.`,
    );
  }
  return layers.filter(([name]) => targets.some((target) => isChosen(name, target)));
}
