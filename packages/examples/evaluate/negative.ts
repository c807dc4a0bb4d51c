/**
 * Does a negative prompt keep its objects out of the picture? Draws the same short captions, which do not mention
 * eyewear, with and without the negative prompt, from the same noise, and counts the faces that wear any.
 *
 *   npm run eval:negative -- --negative "glasses, sunglasses"
 */
import { fileURLToPath } from "node:url";
import { useBackend } from "@tfjs-diffusion/core";
import { loadClassifier } from "../classifier/classifier-files.js";
import { captionsWithout } from "./prompts.js";
import { percent } from "../src/percent.js";
import { readings01 } from "./context.js";
import { openSampler } from "./sampler.js";
import { countOption, guidanceOption, kindOption, scriptOptions, stepsOption } from "../train/script-options.js";

const { options } = scriptOptions({
  kind: { type: "string", default: "portraits" },
  model: { type: "string" },
  classifier: { type: "string" },
  negative: { type: "string", default: "glasses" },
  pictures: { type: "string", default: "500" },
  guidance: { type: "string", default: "3" },
  steps: { type: "string", default: "20" },
  batch: { type: "string", default: "100" },
  backend: { type: "string" },
});
const kind = kindOption(options.kind);
const count = countOption("pictures", options.pictures);
const batch = countOption("batch", options.batch);
const guidance = guidanceOption("guidance", options.guidance);
const steps = stepsOption("steps", options.steps);

const { name: backend } = await useBackend(options.backend);
const weights = (name: string) => fileURLToPath(new URL(`../../weights/${name}`, import.meta.url));
const classifier = await loadClassifier(options.classifier ?? weights(`${options.kind}-classifier`));
const sampler = await openSampler(options.model ?? weights(options.kind));

const captions = captionsWithout("eyewear", count, kind);
console.log(`${count} short captions that do not speak of eyewear, guidance ${guidance}, DDIM ${steps} steps, backend ${backend}.

| negative prompt | glasses | sunglasses | none |
|---|---|---|---|`);
for (const negative of ["", options.negative]) {
  const worn: Record<string, number> = { glasses: 0, sunglasses: 0, none: 0 };
  for (let first = 0; first < count; first += batch) {
    const images = await sampler.sample(captions.slice(first, first + batch), {
      guidance,
      steps,
      negative,
      seed: first,
    });
    for (const { eyewear } of await readings01(classifier, images)) worn[eyewear!] = worn[eyewear!]! + 1;
    images.dispose();
  }
  console.log(
    `| "${negative}" | ${Object.values(worn)
      .map((n) => percent(n / count))
      .join(" | ")} |`,
  );
}
sampler.dispose();
classifier.dispose();
