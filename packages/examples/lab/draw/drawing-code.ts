import { type DrawSettings, FEW_STEPS } from "./settings.js";

const MODEL = "packages/examples/weights/portraits";
const LORA = "packages/examples/weights/portraits-loras/few-steps";

/** A program that draws the same with this library, in Node. */
export function typescriptCode(settings: DrawSettings): string {
  const { prompt, negativePrompt, guidanceScale, steps, seed, width, height, fewSteps } = settings;
  return `import { writeFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs";
import { encodePng, StableDiffusionXLPipeline, useBackend } from "@tfjs-diffusion/core";
import { schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";

await useBackend();
const pipeline = await StableDiffusionXLPipeline.fromPretrained("${MODEL}");
${fewSteps ? `await pipeline.loras.load("${LORA}");\n` : ""}const { images, latents } = await pipeline.generate({
  prompt: ${JSON.stringify(prompt)},
${fewSteps || negativePrompt === "" ? "" : `  negativePrompt: ${JSON.stringify(negativePrompt)},\n`}\
  guidanceScale: ${fewSteps ? 1 : guidanceScale},
  numInferenceSteps: ${steps},
  noise: torchNoise(${seed}), // what diffusers draws after manual_seed(${seed})
  width: ${width},
  height: ${height},
  scheduler: schedulerFromConfig({ ...pipeline.scheduler.config, _class_name: "${samplerOf(settings)}" }),
});
const picture = images.squeeze([0]);
await writeFile("picture.png", await encodePng(picture));
tf.dispose([images, latents, picture]);
pipeline.dispose();
`;
}

/** A program that draws the same with diffusers. */
export function pythonCode(settings: DrawSettings): string {
  const { prompt, negativePrompt, guidanceScale, steps, seed, width, height, fewSteps } = settings;
  const sampler = samplerOf(settings);
  return `import torch
from diffusers import ${sampler}, StableDiffusionXLPipeline

pipeline = StableDiffusionXLPipeline.from_pretrained("${MODEL}")
pipeline.scheduler = ${sampler}.from_config(pipeline.scheduler.config)
${fewSteps ? `pipeline.load_lora_weights("${LORA}")\n` : ""}image = pipeline(
    ${JSON.stringify(prompt)},
${fewSteps || negativePrompt === "" ? "" : `    negative_prompt=${JSON.stringify(negativePrompt)},\n`}\
    guidance_scale=${fewSteps ? 1 : guidanceScale},
    num_inference_steps=${steps},
    generator=torch.Generator("cpu").manual_seed(${seed}),
    width=${width},
    height=${height},
).images[0]
image.save("picture.png")
`;
}

const samplerOf = ({ fewSteps, sampler }: DrawSettings) => (fewSteps ? FEW_STEPS.sampler : sampler);
