/**
 * Trains one stage of the second portraits models: both roads from text to pictures, on captions as people type them.
 *
 *   npm run train:portraits-2 -- clip        both towers, from those of a portraits model
 *   npm run train:portraits-2 -- unet        Stable Diffusion: the UNet and a text tower, from a portraits model's
 *   npm run train:portraits-2 -- prior       unCLIP: from a caption to CLIP's embedding of a picture
 *   npm run train:portraits-2 -- decoder     unCLIP: from the embedding to a picture of 16 x 16
 *   npm run train:portraits-2 -- enlarger    unCLIP: from there to 32 x 32
 *   npm run train:portraits-2 -- unclip      puts unCLIP's folders together
 *   … --quick                                a small run that shows the loss fall
 *   … --count                                the arithmetic of one step, then stops
 *   … --steps 500                            a shorter run
 *   … --from FOLDER                          CLIP goes on from another CLIP, the UNet from another portraits model
 *
 * All output is in runs/portraits-2/<stage> (--out is the folder above). Ctrl-C saves and stops; the same command
 * resumes.
 */
import { join } from "node:path";
import { CLIPTokenizer, useBackend } from "@tfjs-diffusion/core";
import type { TrainingStep } from "@tfjs-diffusion/core/training";
import { UsageError } from "../src/cli/options/usage-error.js";
import { packagePath } from "../src/package-folder.js";
import { trainClip2 } from "./portraits-2/clip.js";
import { trainUnCLIPDecoder } from "./portraits-2/decoder.js";
import { trainEnlarger } from "./portraits-2/enlarger.js";
import { fixedParts } from "./portraits-2/folder.js";
import { trainPrior } from "./portraits-2/prior.js";
import { type Portraits2Settings, SETTINGS } from "./portraits-2/settings.js";
import { trainUnet2 } from "./portraits-2/unet.js";
import { writeUnCLIPFolders } from "./portraits-2/unclip-folder.js";
import { flopOfStep, runStage } from "./run-stage.js";
import { countOption, scriptOptions } from "./script-options.js";
import { writeFixedParts } from "./folder.js";
import type { StageFiles } from "./stage.js";

interface StageContext extends StageFiles {
  settings: Portraits2Settings;
  tokenizer: CLIPTokenizer;
  /** Folder of the trained CLIP. */
  clipFolder: string;
  /** --from */
  from: string | undefined;
}

type StageName = "clip" | "unet" | "prior" | "decoder" | "enlarger";

const STAGES: Record<StageName, (options: StageContext) => AsyncGenerator<TrainingStep, void>> = {
  clip: (options) => {
    const first = { model: packagePath("weights", "portraits"), vision: packagePath("weights", "portraits-vision") };
    return trainClip2({ ...options, from: options.from === undefined ? first : { clip: options.from } });
  },
  unet: (options) => trainUnet2({ ...options, from: options.from ?? packagePath("weights", "portraits") }),
  prior: trainPrior,
  decoder: trainUnCLIPDecoder,
  enlarger: trainEnlarger,
};

/** Not a stage: puts the results together. */
const ASSEMBLE = "unclip";

const { options, word: name = "" } = scriptOptions(
  {
    quick: { type: "boolean", default: false },
    count: { type: "boolean", default: false },
    /** Ends the stage after so many steps, and plans the learning rate for them. */
    steps: { type: "string" },
    /** Default: the shipped portraits. */
    from: { type: "string" },
    out: { type: "string" },
    backend: { type: "string" },
  },
  [...Object.keys(STAGES), ASSEMBLE],
);
const isStage = (word: string): word is StageName => Object.hasOwn(STAGES, word);
if (!isStage(name) && name !== ASSEMBLE) {
  throw new UsageError(`The stage is "${name}"; it can be ${[...Object.keys(STAGES), ASSEMBLE].join(", ")}.`);
}
const settings = { ...SETTINGS[options.quick ? "quick" : "full"] };
if (isStage(name) && options.steps !== undefined) {
  Object.assign(settings, { [name]: { ...settings[name], steps: countOption("steps", options.steps) } });
}
const out = options.out ?? (options.quick ? "runs/portraits-2-quick" : "runs/portraits-2");
const resultOf = (stage: StageName) => join(out, stage, "result");

const { name: backend } = await useBackend(options.backend);
await writeFixedParts(join(out, "model"), fixedParts());
const tokenizer = await CLIPTokenizer.fromFolder(join(out, "model", "tokenizer"));
if (isStage(name)) await train(name);
else await assemble();

async function train(stage: StageName): Promise<void> {
  console.log(`Training on the backend "${backend}", into ${join(out, stage)}.`);
  const { steps: total, batchSize } = settings[stage];
  const runnable = {
    label: stage,
    total,
    out: join(out, stage),
    result: stage === "unet" ? join("..", "model") : "result",
    train: (files: StageFiles) =>
      STAGES[stage]({ settings, tokenizer, clipFolder: resultOf("clip"), from: options.from, ...files }),
  };
  if (!options.count) return runStage(runnable);
  const flop = await flopOfStep({ ...runnable, out: join(out, `${stage}-count`) });
  console.log(
    `${(flop / 1e9).toFixed(2)} GFLOP a step of ${batchSize}, ${(flop / batchSize / 1e9).toFixed(3)} a sample, ` +
      `${((flop * total) / 1e14).toFixed(2)}e14 in ${total} steps.`,
  );
}

async function assemble(): Promise<void> {
  const folders = {
    clip: resultOf("clip"),
    prior: resultOf("prior"),
    decoder: resultOf("decoder"),
    enlarger: resultOf("enlarger"),
  };
  const to = { text: join(out, "unclip"), variation: join(out, "unclip-variation") };
  await writeUnCLIPFolders(folders, tokenizer, to);
  console.log(`unCLIP is in ${to.text}, and for variations of pictures in ${to.variation}.`);
}
