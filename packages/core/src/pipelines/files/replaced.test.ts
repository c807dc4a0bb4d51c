import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import type { Model } from "../../models/model.js";
import { PlatformError } from "../../platform/platform-error.js";
import { useTestBackend } from "../../testing/backend.js";
import { bundleScript } from "../../testing/bundle-script.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { openPipeline } from "../open-pipeline.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";

/** The long form: `READS=1000 npm run jest -- packages/core/src/pipelines/files/replaced.test.ts`. */
const READS = Number(process.env.READS ?? 40);
const NAMES = ["first", "second", "third"];

let folder: string;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "replaced "));
});
afterAll(() => rm(folder, { recursive: true }));

/** One weight of each network; these differ between the pipelines. */
async function marksOf({ parts }: PixelDiffusionPipeline): Promise<string> {
  const networks = [parts.unet, parts.textEncoder, parts.textEncoder2] as unknown as Model[];
  const last = (network: Model) => [...network.parameters().entries()].filter(([name]) => /weight$/.test(name)).at(-1)!;
  const first = (network: Model) => [...network.parameters().entries()].find(([name]) => /weight$/.test(name))!;
  const weights = networks.flatMap((network) => [first(network)[1], last(network)[1]]);
  return (await Promise.all(weights.map(async (weight) => (await weight.data())[0]))).join(" ");
}

it("A folder that another process saves again and again is read as one of its pipelines, never a mixture", async () => {
  const marks = new Set<string>();
  for (const [i, name] of NAMES.entries()) {
    const pipeline = new PixelDiffusionPipeline(tinyTextToImage());
    const { unet, textEncoder, textEncoder2 } = pipeline.parts;
    for (const network of [unet, textEncoder, textEncoder2] as unknown as Model[])
      network.initialize(keyedNoise(100 + i));
    await pipeline.savePretrained(join(folder, name));
    marks.add(await marksOf(pipeline));
    pipeline.dispose();
  }
  expect(marks.size).toBe(NAMES.length);

  const script = join(folder, "endless-saves.mjs");
  bundleScript(join(import.meta.dirname, "testing/endless-saves.ts"), script);
  const target = join(folder, "target");
  const writer = spawn(process.execPath, [script, target, ...NAMES.map((name) => join(folder, name))], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let saves = 0;
  writer.stdout.on("data", (data: Buffer) => (saves += data.toString().split("\n").length - 1));
  try {
    await new Promise((done) => writer.stdout.once("data", done));
    const before = tf.memory().numTensors;
    const [savesBefore, seen] = [saves, new Set<string>()];
    for (let i = 0; i < READS || saves - savesBefore < 40; i++) {
      const pipeline = (await openPipeline(target).catch(refusal)) as PixelDiffusionPipeline | undefined;
      if (!pipeline) continue;
      const read = await marksOf(pipeline);
      pipeline.dispose();
      expect(marks).toContain(read);
      seen.add(read);
    }
    expect(seen.size).toBeGreaterThan(1);
    expect(tf.memory().numTensors).toBe(before);
  } finally {
    await ended(writer);
  }
}, 120_000);

/** On a busy machine each of 20 reads may be overtaken by a save. Then the folder is refused, and not a mixture. */
function refusal(error: unknown): undefined {
  if (error instanceof PlatformError && /was replaced 20 times/.test(error.message)) return;
  throw error;
}

function ended(child: ChildProcess): Promise<unknown> {
  const over = new Promise((done) => child.once("close", done));
  child.kill("SIGKILL");
  return over;
}
