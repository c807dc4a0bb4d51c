import { openPipeline } from "@tfjs-diffusion/core";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { isAdaptable } from "../src/cli/files/open-model.js";
import type { Sampler } from "./context.js";

/** A function that draws, and one that frees its model. */
export interface OpenSampler {
  readonly sample: Sampler;
  dispose(): void;
}

/** How to draw; all options have defaults. */
export interface DrawingOptions {
  /** Class of the scheduler, on the model's own noise schedule. Default: DDIMScheduler. */
  scheduler?: string;
  /** The file of a LoRA, for latent models. Default: none. */
  lora?: string;
  /** The scale of the LoRA. Default 1. */
  loraScale?: number;
}

/**
 * Opens a model's folder as a pipeline of the library.
 *
 * @throws RangeError for a LoRA with a model that does not take one, and for a model that reads no text
 */
export async function openSampler(
  folder: string,
  { scheduler: className = "DDIMScheduler", lora, loraScale: scale }: DrawingOptions = {},
): Promise<OpenSampler> {
  const pipeline = await openPipeline(folder);
  if (pipeline.input !== "text") {
    pipeline.dispose();
    throw new RangeError(`${folder} draws from a ${pipeline.input}, not from text. Give a model that reads text.`);
  }
  const scheduler = schedulerFromConfig({ ...pipeline.scheduler.config, _class_name: className });
  if (lora !== undefined) {
    if (!isAdaptable(pipeline)) throw new RangeError(`${folder}: a ${pipeline.constructor.name} does not take a LoRA.`);
    await pipeline.loras.load(lora, { scale });
  }
  return {
    async sample(prompt, { guidance, steps, seed, negative }) {
      const { images, latents } = await pipeline.generate({
        prompt,
        negativePrompt: negative,
        guidanceScale: guidance,
        numInferenceSteps: steps,
        seed,
        scheduler,
      });
      latents.dispose();
      return images;
    },
    dispose: () => pipeline.dispose(),
  };
}
