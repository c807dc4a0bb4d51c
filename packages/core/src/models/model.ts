import * as tf from "@tensorflow/tfjs";
import type { NoiseSource } from "@tfjs-diffusion/schedulers";
import { namedParameters, type Parameter } from "../nn/parameter.js";
import { forgetRecorded } from "../nn/recorded.js";
import { isDenoiser } from "./denoiser.js";
import { denoiserPass, type ExampleNoise, type ExamplePass } from "./example-pass.js";
import { libraryAndClass } from "./library-and-class.js";
import type { SaveOptions } from "../weights/model-folder.js";

/**
 * A network with a public config and named weights. Building one allocates nothing: the weights come from {@link
 * initialize}, or from a folder by `loadModel`.
 */
export abstract class Model {
  /** The content of the config file, with every default filled in. */
  abstract readonly config: object;

  /** Every parameter by its name on disk, whether or not it has a value yet. */
  namedParameters(): Map<string, Parameter> {
    return new Map(namedParameters(this));
  }

  /**
   * The values by their names on disk; the model owns them.
   * @throws MissingWeightsError if there are no weights yet
   */
  parameters(): Map<string, tf.Variable> {
    return new Map([...namedParameters(this)].map(([name, parameter]) => [name, parameter.variable]));
  }

  /**
   * Draws random weights, each from the distribution with which the original library initialises the layer, in the
   * order of {@link namedParameters}; the same noise gives the same weights.
   */
  initialize(noise: NoiseSource): void {
    for (const parameter of this.namedParameters().values()) {
      tf.tidy(() => parameter.assign(parameter.initializer(parameter.shape, noise)));
    }
  }

  /**
   * A forward pass on noise with the config's sizes, for measurements. For denoisers it follows from their properties;
   * other networks override this. Undefined for a network that does not run alone.
   */
  examplePass(noise: ExampleNoise): ExamplePass | undefined {
    return isDenoiser(this) ? denoiserPass(this, noise) : undefined;
  }

  /**
   * Writes the network as its original library does, diffusers or transformers: a folder with `config.json` and a
   * safetensors file, each written completely or not at all.
   */
  async save(folder: string, options?: SaveOptions): Promise<void> {
    const { library } = libraryAndClass(this.config);
    const { saveModelFolder } = await import("../weights/save-model-folder.js");
    await saveModelFolder(folder, library, this.config, this.namedParameters(), options);
  }

  /** Frees the weights. The model can be given new ones. */
  dispose(): void {
    for (const parameter of this.namedParameters().values()) parameter.dispose();
    forgetRecorded(this);
  }
}
