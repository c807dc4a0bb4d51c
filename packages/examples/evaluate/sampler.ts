import { openPipeline } from "@tfjs-diffusion/core";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { isAdaptable } from "../src/cli/files/open-model.js";
import type { Sampler } from "./context.js";

/** A model that draws, and the way to free it. */
export interface OpenSampler {
  readonly sample: Sampler;
  dispose(): void;
}

/** How to draw; all have defaults. */
export interface DrawingOptions {
  /** Class of the scheduler, on the model's own noise schedule. Default: DDIMScheduler. */
  scheduler?: string;
  /** A LoRA's file, for a model in latents; default none. */
  lora?: string;
  /** How strongly it is added, default 1. */
  loraScale?: number;
}

/**
 * Opens a model's folder, by the very pipeline that draws for everyone.
 *
 * @throws RangeError for a LoRA of a model that takes none, and for a model that reads no text
 */
export async function openSampler(
  folder: string,
  { scheduler: className = "DDIMScheduler", lora, loraScale: scale }: DrawingOptions = {},
): Promise<OpenSampler> {
  const pipeline = await openPipeline(folder);
  if (pipeline.input !== "text") {
    pipeline.dispose();
    throw new RangeError(`${folder} draws from a ${pipeline.input}, not from a text.`);
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
