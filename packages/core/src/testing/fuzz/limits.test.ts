import { deflateSync } from "node:zlib";
import { beforeAll, expect, it } from "@jest/globals";
import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import { decodePng } from "../../image/png/decode-png.js";
import { SIGNATURE, writeChunks } from "../../image/png/chunks.js";
import { modelFromConfig } from "../../models/load-model.js";
import { MODEL_CLASSES } from "../../models/model-classes.js";
import { jsonObject } from "../../weights/read-json.js";
import { openSafetensors } from "../../weights/safetensors.js";
import { useTestBackend } from "../backend.js";
import { campaign, pick, type Random, timeout } from "./campaign.js";

/** Small inputs that ask for much are refused quickly, before the memory for them is taken. */
const MOST_BYTES = 50e6;
/** A second, and room for a machine with other work. */
const MOST_MILLISECONDS = 5000;

beforeAll(useTestBackend);

const text = (piece: string, count: number) => new Uint8Array(Buffer.alloc(piece.length * count, piece));

function headerOf(json: Uint8Array): Uint8Array {
  const file = new Uint8Array(8 + json.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  return file;
}

function png(random: Random): Uint8Array {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  for (const at of [0, 4]) view.setUint32(at, pick(random, [1, 8191, 20_000, 65_535, 2 ** 31 - 1]));
  const [depth, type] = pick(random, [
    [1, 0],
    [8, 2],
    [16, 6],
  ] as const);
  header.set([depth, type, 0, 0, random.integer(2)], 8);
  const data = deflateSync(new Uint8Array(random.integer(30e6)), { level: 9 });
  const file = writeChunks([
    { type: "IHDR", data: header },
    { type: "IDAT", data: new Uint8Array(data) },
  ]);
  expect(file.subarray(0, 8)).toEqual(SIGNATURE);
  return file;
}

/** Each makes an input, and returns what reads it. */
const GREEDY: readonly ((random: Random) => () => unknown)[] = [
  (random) => {
    const file = headerOf(text(pick(random, ["[", '{"a":', '[{"":']), random.integer(10_000_000)));
    return () => openSafetensors(file);
  },
  (random) => {
    const file = headerOf(text(" ", 7));
    new DataView(file.buffer).setBigUint64(0, BigInt(pick(random, [2 ** 27, 2 ** 40, Number.MAX_SAFE_INTEGER])), true);
    return () => openSafetensors(file);
  },
  (random) => {
    const json = text(pick(random, ["[", '{"a":', "[[]", '{"":[']), 1000 + random.integer(1_000_000));
    return () => jsonObject("greedy.json", json, { remedy: "Give another." });
  },
  (random) => {
    const file = png(random);
    return () => decodePng(file);
  },
  (random) => {
    const key = pick(random, ["num_train_timesteps", "original_inference_steps", "trained_betas"]);
    const config = { _class_name: "DDIMScheduler", [key]: pick(random, [1e7, 2 ** 40, 1e300, Infinity]) };
    return () => schedulerFromConfig(config);
  },
  (random) => {
    const Class = pick(random, Object.values(MODEL_CLASSES));
    const config = new Class({}).config as Record<string, unknown>;
    const sizes = Object.keys(config).filter((key) => typeof config[key] === "number" || Array.isArray(config[key]));
    const huge = pick(random, [
      2 ** 21,
      2 ** 40,
      Array<number>(100_000).fill(32),
      Array<string>(100_000).fill("DownBlock2D"),
    ]);
    return () => modelFromConfig({ ...config, [pick(random, sizes)]: huge });
  },
];

it(
  "What asks for too much is refused within seconds and 50 MB",
  async () => {
    const typed = ["WeightsFormatError", "ImageError", "SchedulerConfigError", "ModelConfigError"];
    await campaign("greedy inputs", { count: 20, typed }, async (random) => {
      const read = pick(random, GREEDY)(random);
      const [started, before] = [performance.now(), process.memoryUsage()];
      try {
        await read();
      } finally {
        const after = process.memoryUsage();
        expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(MOST_BYTES);
        expect(performance.now() - started).toBeLessThan(MOST_MILLISECONDS);
      }
    });
  },
  timeout(),
);
