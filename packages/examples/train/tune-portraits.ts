/**
 * Tunes the finished portraits model on the same pictures:
 *
 *   npm run tune:portraits -- decoder      an autoencoder for more colours and wider pictures, from the same latents
 *   npm run tune:portraits -- style        a LoRA that draws in sepia
 *   npm run tune:portraits -- few-steps    a LoRA to draw in 1 to 4 steps, with LCMScheduler and without guidance
 *   npm run tune:portraits -- inpainting   a UNet of 9 channels for inpainting
 *   npm run tune:portraits -- word         a new word, <lu>, that means a person
 *   npm run tune:portraits -- subject      a LoRA for "a zwx person", with a pink mohawk and a blue beard (DreamBooth)
 *   npm run tune:portraits -- vision       a vision tower for the model's text tower, to measure the model
 *
 * The model is read from --model, by default the shipped one; the result, checkpoints and loss curve go to --out,
 * runs/portraits/<what>. Ctrl-C saves and stops; the same command resumes. --quick: three steps, to see that it runs.
 */
import { join } from "node:path";
import { useBackend } from "@tfjs-diffusion/core";
import { type TrainingStep } from "@tfjs-diffusion/core/training";
import { UsageError } from "../src/cli/options/usage-error.js";
import { packagePath } from "../src/package-folder.js";
import { trainDecoder } from "./portraits/decoder.js";
import { trainFewSteps } from "./portraits/few-steps.js";
import { trainInpainting } from "./portraits/inpainting.js";
import { TUNING_SETTINGS, type TuningSettings } from "./portraits/settings.js";
import { trainStyle } from "./portraits/style.js";
import { trainSubject } from "./portraits/subject.js";
import type { TuningOptions } from "./portraits/tuning.js";
import { trainVision } from "./portraits/vision.js";
import { trainWord } from "./portraits/word.js";
import { runStage } from "./run-stage.js";
import { scriptOptions } from "./script-options.js";

const KINDS: Record<
  string,
  {
    key: Exclude<keyof TuningSettings, "seed" | "captionDropout">;
    folder: string;
    run(options: TuningOptions): AsyncGenerator<TrainingStep, void>;
  }
> = {
  decoder: { key: "decoder", folder: "vae", run: trainDecoder },
  style: { key: "style", folder: "lora", run: trainStyle },
  "few-steps": { key: "fewSteps", folder: "lora", run: trainFewSteps },
  inpainting: { key: "inpainting", folder: "unet", run: trainInpainting },
  word: { key: "word", folder: "word", run: trainWord },
  subject: { key: "subject", folder: "lora", run: trainSubject },
  vision: { key: "vision", folder: "vision", run: trainVision },
};

const { options, word: what = "" } = scriptOptions(
  {
    quick: { type: "boolean", default: false },
    model: { type: "string", default: packagePath("weights", "portraits") },
    out: { type: "string" },
    backend: { type: "string" },
  },
  Object.keys(KINDS),
);
const kind = Object.hasOwn(KINDS, what) ? KINDS[what] : undefined;
if (!kind) throw new UsageError(`"${what}" is not a kind of tuning; give one of ${Object.keys(KINDS).join(", ")}.`);
const settings = TUNING_SETTINGS[options.quick ? "quick" : "full"];
const out = options.out ?? join("runs/portraits", what);

const { name } = await useBackend(options.backend);
console.log(`Training on the backend "${name}", into ${out}.`);
await runStage({
  label: what,
  total: settings[kind.key].steps,
  out,
  result: kind.folder,
  train: (files) => kind.run({ settings, model: options.model, ...files }),
});
