import type * as tf from "@tensorflow/tfjs";
import type { ExamplePass, Model } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { UsageError } from "../options/usage-error.js";

/**
 * A pass on noise, with the sizes of the config.
 *
 * @throws UsageError for a network that does not run alone
 */
export function examplePass(model: Model, batch: number, tokens: number): ExamplePass {
  const noise = keyedNoise(1);
  const normal = <T extends tf.Tensor>(...shape: number[]) => noise.at(shape.join()).normal([batch, ...shape]) as T;
  const pass = model.examplePass({ batch, tokens, normal });
  if (pass) return pass;
  throw new UsageError(
    `A ${model.constructor.name} cannot be profiled: give a UNet, an autoencoder, or another network that runs alone.`,
  );
}
