import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise, replayNoise, schedulerFromConfig, schedulerNames } from "@tfjs-diffusion/schedulers";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { UNet2DModel } from "../../models/unet/unet-2d.js";
import { StableDiffusionDiffEditPipeline } from "../../pipelines/diff-edit/diff-edit.js";
import { PIPELINE_CLASSES } from "../../pipelines/kinds.js";
import type { OptionTable } from "../../pipelines/options/option.js";
import { DDIMPipeline, DDPMPipeline } from "../../pipelines/pixels/ddpm.js";
import { PixelDiffusionPipeline } from "../../pipelines/pixels/pixel-diffusion.js";
import { StableDiffusionDepth2ImgPipeline } from "../../pipelines/stable-diffusion/depth-to-image.js";
import { StableDiffusionInstructPix2PixPipeline } from "../../pipelines/stable-diffusion/instruct-pix2pix.js";
import { StableDiffusionXLPipeline } from "../../pipelines/stable-diffusion/stable-diffusion-xl.js";
import { StableDiffusionPipeline } from "../../pipelines/stable-diffusion/stable-diffusion.js";
import { UnCLIPImageVariationPipeline } from "../../pipelines/unclip/unclip-image-variation.js";
import { UnCLIPPipeline } from "../../pipelines/unclip/unclip.js";
import { useTestBackend } from "../backend.js";
import { loadFixture } from "../fixture.js";
import { tinyWideUNet, writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../stable-diffusion.js";
import { tinyTextToImage } from "../tiny-text-to-image.js";
import { writeTinyUnCLIP } from "../unclip.js";
import { campaign, ODD, pick, type Random, timeout } from "./campaign.js";

/**
 * Every pipeline, called with odd values for the options of its table: it draws, or says with a typed error what is
 * wrong, and leaves no tensor. A value that the table does not allow is refused by its name.
 */
interface Fuzzed {
  options: OptionTable;
  /** Options with which a drawing is small and sound. */
  sound: Record<string, unknown>;
  draw(options: object): Promise<unknown>;
}

let folder: string;
let kinds: Record<string, Fuzzed>;
/** Tensors of the shapes that options have, and of others. */
let tensors: tf.Tensor[];

beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "options "));
  const at = (name: string) => join(folder, name);
  await writeTinyStableDiffusion(at("sd"));
  await writeTinyStableDiffusionXL(at("xl"));
  await writeTinyUnCLIP(at("text"), "text");
  await writeTinyUnCLIP(at("variation"), "variation");
  const sd = await StableDiffusionPipeline.fromPretrained(at("sd"));
  const wide = (channels: number) => tinyWideUNet(sd.parts.unet as UNet2DConditionModel, channels);
  const pixels = await loadFixture<UNet2DModel>("unet2d_ddpm_cifar");
  const classes = await loadFixture<UNet2DModel>("unet2d_class_scaleshift");
  const scheduler = schedulerFromConfig({ _class_name: "DDIMScheduler" });
  const unclip = await UnCLIPPipeline.fromPretrained(at("text"));
  const variation = await UnCLIPImageVariationPipeline.fromPretrained(at("variation"));
  const image = tf.fill<tf.Rank.R3>([16, 16, 3], 0.5);
  const depthMap = tf.fill<tf.Rank.R2>([16, 16], 0.5);
  const imageLatents = [1, 2, 3].map((seed) => keyedNoise(seed).normal([1, 8, 8, 4]));
  const gone = tf.zeros([16, 16, 3]);
  gone.dispose();
  tensors = [
    ...[[], [1], [3], [16, 16], [16, 16, 1], [8, 8], [16, 16, 4], [2, 16, 16, 3], [1, 8, 8, 4], [1, 8, 8, 3]],
    ...[
      [1, 77, 32],
      [1, 77, 8],
      [1, 12, 16],
      [2, 32],
      [1, 8],
      [0, 16, 16, 3],
      [1, 1, 1, 1, 1],
    ],
  ].map((shape) => tf.fill(shape, 0.5));
  tensors.push(image, depthMap, gone, tf.fill([16, 16, 3], NaN), tf.fill([16, 16, 3], 255), tf.ones([1], "int32"));

  const text = { prompt: "a", width: 16, height: 16, numInferenceSteps: 2 };
  const edit = new StableDiffusionDiffEditPipeline(sd);
  const prompts = { source: { prompt: "a" }, target: { prompt: "b" } };
  kinds = {
    StableDiffusionPipeline: drawing(sd, text),
    StableDiffusionXLPipeline: drawing(await StableDiffusionXLPipeline.fromPretrained(at("xl")), text),
    StableDiffusionInstructPix2PixPipeline: drawing(
      new StableDiffusionInstructPix2PixPipeline({ ...sd.parts, unet: wide(8) }),
      { prompt: "a", image, numInferenceSteps: 2 },
    ),
    StableDiffusionDepth2ImgPipeline: drawing(new StableDiffusionDepth2ImgPipeline({ ...sd.parts, unet: wide(5) }), {
      prompt: "a",
      image,
      depthMap,
      numInferenceSteps: 2,
    }),
    PixelDiffusionPipeline: drawing(new PixelDiffusionPipeline(tinyTextToImage()), {
      prompt: "a",
      numInferenceSteps: 2,
      guidanceScale: 2,
    }),
    DDPMPipeline: drawing(new DDPMPipeline({ unet: pixels, scheduler }), { numInferenceSteps: 2 }),
    DDIMPipeline: drawing(new DDIMPipeline({ unet: classes, scheduler }), { classLabels: [1], numInferenceSteps: 2 }),
    UnCLIPPipeline: drawing(unclip, {
      prompt: "a",
      numInferenceSteps: 2,
      priorNumInferenceSteps: 2,
      superResNumInferenceSteps: 2,
    }),
    UnCLIPImageVariationPipeline: drawing(variation, {
      image,
      numInferenceSteps: 2,
      superResNumInferenceSteps: 2,
    }),
    "DiffEdit's generate": drawing(edit, { prompt: "a", mask: tf.ones([8, 8]), imageLatents, numInferenceSteps: 4 }),
    "DiffEdit's invert": {
      options: edit.options,
      sound: { prompt: "a", image, numInferenceSteps: 2 },
      draw: (options) => edit.invert(options as never),
    },
    "DiffEdit's generateMask": {
      options: edit.options,
      sound: { ...prompts, image, numMapsPerMask: 1, numInferenceSteps: 2 },
      draw: (options) => edit.generateMask(options as never),
    },
  };
}, 120_000);
afterAll(() => rm(folder, { recursive: true }));

function drawing(
  pipeline: { options: OptionTable; generate(options: never): Promise<unknown> },
  sound: Record<string, unknown>,
): Fuzzed {
  return { options: pipeline.options, sound, draw: (options) => pipeline.generate(options as never) };
}

const NAMES = [
  ...PIPELINE_CLASSES.map(({ folder }) => folder.className),
  ...["generate", "invert", "generateMask"].map((stage) => `DiffEdit's ${stage}`),
];

/** An odd or a plausible value, which may be of another option. */
function value(random: Random): unknown {
  return [
    () => pick(random, ODD),
    () => pick(random, [1, 2, 3, 4, 8, 16, 24, 0.25, 0.5, 1.5, 7.5, 1e38, -3, 65_537]),
    () => pick(random, tensors),
    () => [pick(random, tensors), pick(random, tensors)],
    () => pick(random, ["a", "(a:1.3) [b:c:0.5]", "((((a", "<lora:x:1>", "a BREAK b", ["a", "b"], ["a", ""], "\ud800"]),
    () => pick(random, [[900, 1], [1, 900], [14, 3, 0], [1e30, 0], Int32Array.of(5, 3), [NaN, 0], [999.5]]),
    () => schedulerFromConfig({ _class_name: pick(random, schedulerNames) }),
    () =>
      pick(random, [
        keyedNoise(1),
        replayNoise([]),
        AbortSignal.abort(new StoppedError()),
        new AbortController().signal,
      ]),
    () => pick(random, [() => 1, () => Promise.reject(new StoppedError()), () => NaN]),
    () =>
      pick(random, [{ s1: 0.9, s2: 0.2, b1: 1.5, b2: 1.6 }, { model: {}, image: 1 }, { prompt: "a" }, { prompt: 1 }]),
  ][random.integer(10)]!();
}

class StoppedError extends Error {
  override name = "StoppedError";
}

const TYPED = [
  ...["PipelineOptionError", "ModelInputError", "NonFiniteResultError", "NonFiniteLayerError", "BackendMemoryError"],
  "StoppedError",
];

it("All pipelines are called", () => expect(Object.keys(kinds)).toEqual(NAMES));

it.each(NAMES)(
  "%s draws or refuses odd options with a typed error, and leaves no tensor",
  async (name) => {
    const { options: table, sound, draw } = kinds[name]!;
    tf.dispose((await draw(sound)) as tf.TensorContainer);
    const before = tf.memory().numTensors;
    await campaign(name, { count: 25, typed: TYPED }, async (random) => {
      const options: Record<string, unknown> = { ...sound };
      for (let change = 1 + random.integer(3); change > 0; change--)
        options[pick(random, [...Object.keys(table), "unknown"])] = value(random);
      for (const [key, option] of Object.entries(options)) {
        // Half of the options get a value that the table allows.
        if (!Object.hasOwn(sound, key) && random.integer(2) === 0)
          options[key] = [option, ...Array.from({ length: 30 }, () => value(random))].find((one) =>
            table[key]?.fits(one),
          );
      }
      const wrong = Object.entries(options).filter(([key, given]) => given !== undefined && !table[key]?.fits(given));
      try {
        tf.dispose((await draw(options)) as tf.TensorContainer);
        expect(wrong).toEqual([]);
      } catch (error) {
        if (wrong.length > 0) expect(error).toMatchObject({ name: "PipelineOptionError" });
        if ((error as Error).message.startsWith("replayNoise: ")) return "no more noise";
        throw error;
      } finally {
        expect(tf.memory().numTensors).toBe(before);
      }
    });
  },
  timeout(),
);
