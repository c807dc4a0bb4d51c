import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { type Scheduler, schedulerFromConfig, schedulerNames } from "@tfjs-diffusion/schedulers";
import { modelFromConfig } from "../../models/load-model.js";
import { MODEL_CLASSES } from "../../models/model-classes.js";
import { openPipeline } from "../../pipelines/open-pipeline.js";
import { PixelDiffusionPipeline } from "../../pipelines/pixels/pixel-diffusion.js";
import { useTestBackend } from "../backend.js";
import { tinyTextToImage } from "../tiny-text-to-image.js";
import { writeTinyUnCLIP } from "../unclip.js";
import { campaign, ODD, pick, type Random, timeout, withOddValues } from "./campaign.js";

/** Configs with odd values are accepted, or refused with a typed error that names file and key; nothing is left. */
let folder: string;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "configs "));
  await writeTinyUnCLIP(join(folder, "variation"), "variation");
  const pipeline = new PixelDiffusionPipeline(tinyTextToImage());
  await pipeline.savePretrained(join(folder, "pixels"));
  pipeline.dispose();
});
afterAll(() => rm(folder, { recursive: true }));

/** Plans three steps; a config may not allow so many, which the error says. */
function planned(scheduler: Scheduler): void {
  try {
    scheduler.plan(3);
  } catch (error) {
    if (!(error instanceof RangeError) || !error.message.startsWith("plan(")) throw error;
  }
}

it(
  "Configs of all networks",
  async () => {
    const sound = Object.values(MODEL_CLASSES).map((Class) => new Class({}).config);
    await campaign("configs of networks", { count: 2000, typed: ["ModelConfigError"] }, (random) => {
      modelFromConfig(withOddValues(pick(random, sound), random));
    });
  },
  timeout(),
);

it(
  "Configs of all samplers",
  async () => {
    const sound = schedulerNames.map((name) => schedulerFromConfig({ _class_name: name }).config);
    await campaign("configs of samplers", { count: 2000, typed: ["SchedulerConfigError"] }, (random) => {
      planned(schedulerFromConfig(withOddValues(pick(random, sound), random)));
    });
  },
  timeout(),
);

const FILES = [
  ...["model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "text_encoder/config.json"],
  ...["text_encoder_2/config.json", "tokenizer/tokenizer_config.json", "tokenizer/special_tokens_map.json"],
].map((file) => `pixels/${file}`);
const VARIATION = ["model_index.json", "decoder/config.json", "text_proj/config.json", "image_encoder/config.json"];
FILES.push(...VARIATION.map((file) => `variation/${file}`), "variation/feature_extractor/preprocessor_config.json");

const TYPED = [
  ...["PipelineFolderError", "PipelinePartsError", "ModelConfigError", "SchedulerConfigError", "TokenizerFilesError"],
  ...["WeightsFormatError", "WeightsMismatchError", "WeightsReadError", "BackendMemoryError"],
];

/** A value of JSON with one odd value in it, and the key that has it. */
function withOddKey(sound: Record<string, unknown>, random: Random): [changed: unknown, key: string | undefined] {
  if (random.integer(20) === 0) return [pick(random, ODD), undefined];
  const key = pick(random, Object.keys(sound));
  return [{ ...sound, [key]: pick(random, ODD) }, key];
}

it(
  "Config files of a folder",
  async () => {
    const before = tf.memory().numTensors;
    await campaign("config files", { count: 60, typed: TYPED, shares: 2 }, async (random) => {
      const file = pick(random, FILES);
      const path = join(folder, file);
      const sound = await readFile(path, "utf8");
      const [changed, key] = withOddKey(JSON.parse(sound) as Record<string, unknown>, random);
      const json = (_: string, value: unknown) => (typeof value === "bigint" ? Number(value) : value);
      await writeFile(path, JSON.stringify(changed, json) ?? "undefined");
      try {
        (await openPipeline(join(folder, file.split("/")[0]!))).dispose();
      } catch (error) {
        const { name, message } = error as Error;
        // What fits its key may still not fit the weights, or the other parts, which the error then names.
        if (!["WeightsMismatchError", "PipelinePartsError"].includes(name)) expect(message).toContain(folder);
        if (key !== undefined && name.endsWith("ConfigError")) expect(message).toContain(file.split("/").at(-1));
        throw error;
      } finally {
        await writeFile(path, sound);
        expect(tf.memory().numTensors).toBe(before);
      }
    });
  },
  timeout(2),
);
