import { type FaceKind, FACES } from "../datasets/faces/index.js";
import { TextToImagePipeline } from "@tfjs-diffusion/core";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { Sampler } from "./eval-run.js";
import { openPortraitSampler } from "./portraits/draw.js";

/** A model that draws, and the way to free it. */
export interface OpenSampler {
  readonly sample: Sampler;
  dispose(): void;
}

/** Opens a model's folder: of the 16 x 16 faces in pixels, of the others in latents. All draw by DDIM. */
export function openSampler(kind: FaceKind, folder: string): Promise<OpenSampler> {
  return kind === FACES ? openFacesSampler(folder) : openPortraitSampler(folder);
}

async function openFacesSampler(folder: string): Promise<OpenSampler> {
  const pipeline = await TextToImagePipeline.fromPretrained(folder);
  const scheduler = schedulerFromConfig({ ...pipeline.parts.scheduler.config, _class_name: "DDIMScheduler" });
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
