import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedRandom, type Scheduler, schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { decodePng } from "../image/png/decode-png.js";
import { encodePng } from "../image/png/encode-png.js";
import { AutoencoderKL } from "../models/autoencoder/autoencoder-kl.js";
import { modelFromConfig } from "../models/load-model.js";
import type { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { PixelDiffusionPipeline } from "../pipelines/pixels/pixel-diffusion.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors } from "../weights/write-safetensors.js";
import { useTestBackend } from "./backend.js";
import { tinyTextToImage } from "./tiny-text-to-image.js";

/**
 * Mutated files, configs and options: each is accepted or refused with a typed error, and nothing is left. The short
 * form of each campaign runs in `npm test`; the long one is `npm run fuzz -- --minutes 60`, with FUZZ_SEED for others.
 */
const SEED = Number(process.env.FUZZ_SEED ?? 0);
const MINUTES = Number(process.env.FUZZ_MINUTES ?? 0);
const CAMPAIGNS = 4;

type Random = ReturnType<typeof keyedRandom>;

/** Runs `attempt` for `count` seeds, or for its share of the minutes; every error must have one of these names. */
async function campaign(name: string, count: number, typed: readonly string[], attempt: (random: Random) => unknown) {
  const until = performance.now() + (MINUTES * 60_000) / CAMPAIGNS;
  const outcomes = new Map<string, number>();
  let run = 0;
  for (; run < count || performance.now() < until; run++) {
    const outcome = await Promise.resolve()
      .then(() => attempt(keyedRandom(SEED, `${name} ${run}`)))
      .then(
        () => "accepted",
        (error: Error) => {
          if (typed.includes(error.name)) return error.name;
          throw new Error(`FUZZ_SEED=${SEED}, ${name} ${run}: ${error.stack}`);
        },
      );
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  if (MINUTES > 0) console.log(`${name}: ${run} mutants, ${JSON.stringify(Object.fromEntries(outcomes))}`);
  // A campaign that is never accepted, or never refused, tests nothing.
  expect(outcomes.get("accepted")).toBeGreaterThan(0);
  expect(outcomes.size).toBeGreaterThan(1);
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(list.length)]!;

/** One to four changes: other bytes, bytes that are missing or twice there, a piece of JSON, the end cut off. */
function mutated(bytes: Uint8Array, random: Random): Uint8Array {
  let result = bytes;
  for (let change = 1 + random.integer(4); change > 0 && result.length > 0; change--) {
    const at = random.integer(result.length);
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    const length = random.integer(8);
    const kind = random.integer(5);
    if (kind === 0) result = Uint8Array.from(result, (byte, i) => (i === at ? random.integer(256) : byte));
    else if (kind === 1) result = Uint8Array.of(...before, ...after.subarray(length));
    else if (kind === 2) result = Uint8Array.of(...before, ...after.subarray(0, length), ...after);
    else if (kind === 3) {
      const piece = pick(random, ["{", "}", "[", "]", '"', ",", "-1", "1e9", "null", "9007199254740993", "\ud800"]);
      result = Uint8Array.of(...before, ...new TextEncoder().encode(piece), ...after.subarray(piece.length));
    } else result = before;
  }
  return result;
}

/** Values that are wrong for most options and keys. */
const ODD: readonly unknown[] = [
  ...[0, -1, 1, 2, 0.5, 1e9, NaN, Infinity, -Infinity, 2 ** 53, "", "1", "a", true, false, null, undefined],
  ...[[], [1], [NaN], {}, { a: 1 }, [[]], [null], ["a", "b"], Array<string>(20_000).fill("a"), () => 1, Symbol("odd")],
];

/** The same object with one to three keys that have odd values. */
function withOddValues(object: object, random: Random): Record<string, unknown> {
  const changed: Record<string, unknown> = { ...object };
  for (let change = 1 + random.integer(3); change > 0; change--)
    changed[pick(random, [...Object.keys(object), "unknown"])] = pick(random, ODD);
  return changed;
}

/** Plans three steps; a config may not allow so many, which the error says. */
function planned(scheduler: Scheduler): void {
  try {
    scheduler.plan(3);
  } catch (error) {
    if (!(error instanceof RangeError) || !error.message.startsWith("plan(")) throw error;
  }
}

describe("Mutants are accepted or refused with a typed error:", () => {
  beforeAll(useTestBackend);
  const timeout = 60_000 + MINUTES * 60_000;

  it(
    "safetensors files",
    async () => {
      const tensors = {
        "unet.weight": { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        bias: { dtype: "F16", shape: [3], data: Float32Array.of(1, 2, 3) },
      } as const;
      const sound = await encodeSafetensors(tensors, { format: "pt" });
      await campaign("safetensors", 3000, ["WeightsFormatError"], async (random) => {
        const file = await openSafetensors(mutated(sound, random));
        for (const name of file.tensors.keys()) await file.read(name);
        await file.close();
      });
    },
    timeout,
  );

  it(
    "PNG files",
    async () => {
      const picture = tf.tidy(() => tf.randomUniform<tf.Rank.R3>([5, 7, 3], 0, 1, "float32", 1));
      const sound = await encodePng(picture);
      picture.dispose();
      const before = tf.memory().numTensors;
      await campaign("PNG", 800, ["ImageError"], async (random) => {
        // Every third is sound but for its end, which no decoder needs.
        const bytes = random.integer(3) === 0 ? Uint8Array.of(...sound, random.integer(256)) : mutated(sound, random);
        (await decodePng(bytes)).dispose();
      });
      expect(tf.memory().numTensors).toBe(before);
    },
    timeout,
  );

  it(
    "configs of networks and samplers",
    async () => {
      const [unet, vae] = [tinyTextToImage().unet as UNet2DConditionModel, new AutoencoderKL({})];
      const scheduler = schedulerFromConfig({ _class_name: "DDIMScheduler" });
      await campaign("configs", 3000, ["ModelConfigError", "SchedulerConfigError"], (random) =>
        pick(random, [
          () => modelFromConfig(withOddValues(unet.config, random)),
          () => modelFromConfig(withOddValues(vae.config, random)),
          () => planned(schedulerFromConfig(withOddValues(scheduler.config, random))),
        ])(),
      );
      unet.dispose();
    },
    timeout,
  );

  it(
    "options of a pipeline",
    async () => {
      const pipeline = new PixelDiffusionPipeline(tinyTextToImage());
      const before = tf.memory().numTensors;
      const names = Object.fromEntries(Object.keys(pipeline.options).map((name) => [name, undefined]));
      const typed = ["PipelineOptionError", "NonFiniteResultError", "BackendMemoryError"];
      await campaign("options", 400, typed, async (random) => {
        const options = withOddValues({ ...names, prompt: "a", numInferenceSteps: 1, guidanceScale: 2 }, random);
        tf.dispose(await pipeline.generate(options));
        expect(tf.memory().numTensors).toBe(before);
      });
      expect(tf.memory().numTensors).toBe(before);
      pipeline.dispose();
    },
    timeout,
  );
});
