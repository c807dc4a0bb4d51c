import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import {
  openPipeline,
  type StableDiffusionDiffEditPipeline,
  type StableDiffusionPipeline,
  type StableDiffusionXLPipeline,
  type UnCLIPImageVariationPipeline,
  type UnCLIPPipeline,
  useBackend,
} from "@tfjs-diffusion/core";
import { BackendMemoryError, limitMemory } from "@tfjs-diffusion/core/backend";
import { MissingWeightsError } from "@tfjs-diffusion/core/nn";
import { DisposedError } from "@tfjs-diffusion/core/weights";
import { KINDS, type Needed, numbersOf, type Opened, optionsOf, whatItNeeds } from "./testing/every-kind.js";

/** Pictures of a batch that is drawn in slices. */
const BATCH = 5;

let root: string;
beforeAll(async () => {
  await useBackend("wasm");
  root = await mkdtemp(join(tmpdir(), "every pipeline "));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(Object.entries(KINDS))("A pipeline of the kind %s", (kind, { write, open = openPipeline }) => {
  let pipeline: Opened;
  let needed: Needed;
  beforeAll(async () => {
    const folder = join(root, kind);
    await write(folder);
    pipeline = await open(folder);
    needed = await whatItNeeds(pipeline);
  });
  afterAll(() => {
    pipeline.dispose();
    tf.dispose(needed);
  });

  const draw = (more: object = {}) => numbersOf(pipeline, { ...optionsOf(pipeline, needed), ...more });

  it("draws a batch in slices as it draws it at once, bit for bit, and with the same steps", async () => {
    const before = tf.memory().numTensors;
    const steps: string[] = [];
    const onStep = ({ index, total, latents }: { index: number; total: number; latents: tf.Tensor }) =>
      void steps.push(`${index} of ${total}: ${latents.shape[0]} pictures`);
    const whole = await draw({ numImages: BATCH, onStep });
    const atOnce = [...steps];
    for (const batchSize of [2, 100]) {
      steps.length = 0;
      expect(await draw({ numImages: BATCH, batchSize, onStep })).toEqual(whole);
      expect(steps).toEqual(atOnce);
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it("takes less memory in slices", async () => {
    const peak = async (batchSize: number) => {
      const { peakBytes } = await tf.profile(() => draw({ numImages: 2 * BATCH, batchSize }));
      return peakBytes - tf.memory().numBytes;
    };
    expect(await peak(1)).toBeLessThan(0.9 * (await peak(2 * BATCH)));
  });

  it.each([
    ["one picture", 1, 8],
    ["eight at once", 8, 4],
  ])("knows how much memory %s need at least: what they take, or up to so many times less", async (_, count, most) => {
    const options = { numImages: count, batchSize: count };
    const before = tf.memory();
    const { peakBytes } = await tf.profile(() => draw(options));
    try {
      limitMemory(peakBytes);
      await draw(options);
      limitMemory(before.numBytes + (peakBytes - before.numBytes) / most);
      const refused = draw(options);
      await expect(refused).rejects.toThrow(BackendMemoryError);
      await expect(refused).rejects.toThrow(
        new RegExp(`^Drawing ${count} x .* pixels at once needs about .*; limitMemory allows`),
      );
      expect(tf.memory().numTensors).toBe(before.numTensors);
    } finally {
      limitMemory();
    }
  });

  it("draws twice at the same time as one after the other", async () => {
    const before = tf.memory().numTensors;
    const seeds = [1, 2];
    const alone = [];
    for (const seed of seeds) alone.push(await draw({ seed, numImages: 2, batchSize: 1 }));
    // DiffEdit begins with the latents of its inversion, and its sampler draws no noise.
    if (kind !== "DiffEdit") expect(alone[0]).not.toEqual(alone[1]);
    expect(await Promise.all(seeds.map((seed) => draw({ seed, numImages: 2, batchSize: 1 })))).toEqual(alone);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("ends a drawing with an error if it is disposed of meanwhile, and frees everything", async () => {
    const before = tf.memory().numTensors;
    const other = await open(join(root, kind));
    const onStep = () => other.dispose();
    await expect(numbersOf(other, { ...optionsOf(other, needed), onStep })).rejects.toThrow(MissingWeightsError);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("says after dispose, in every method and property, that it was disposed of", async () => {
    const folder = join(root, `${kind} disposed`);
    const before = tf.memory().numTensors;
    const other = await open(join(root, kind));
    const options = optionsOf(other, needed);
    const { loras } = other as Partial<StableDiffusionPipeline>;
    other.dispose();
    other.dispose();
    expect(tf.memory().numTensors).toBe(before);

    const image = tf.fill<tf.Rank.R3>([16, 16, 3], 0.5);
    const prompts = { source: { prompt: "a" }, target: { prompt: "b" }, image };
    const uses: Record<string, (pipeline: never) => unknown> = {
      generate: (p: Opened) => p.generate(options as never),
      steps: (p: Opened) => p.steps(options as never).next(),
      savePretrained: (p: Opened) => p.savePretrained(folder),
      parts: (p: Opened) => p.parts,
      scheduler: (p: Opened) => p.scheduler,
      generateLatents: (p: StableDiffusionPipeline) => p.generateLatents(options),
      encodePrompts: (p: StableDiffusionPipeline) => p.encodePrompts(["a"]),
      loadTextualInversion: (p: StableDiffusionPipeline) => p.loadTextualInversion(WORD),
      isRefiner: (p: StableDiffusionXLPipeline) => p.isRefiner,
      textStates: (p: UnCLIPPipeline) => p.textStates(["a"]),
      imageEmbeddings: (p: UnCLIPImageVariationPipeline) => p.imageEmbeddings(image),
      inverseScheduler: (p: StableDiffusionDiffEditPipeline) => p.inverseScheduler,
      generateMask: (p: StableDiffusionDiffEditPipeline) => p.generateMask(prompts),
      invert: (p: StableDiffusionDiffEditPipeline) => p.invert({ prompt: "a", image }),
      inversionSteps: (p: StableDiffusionDiffEditPipeline) => p.inversionSteps({ prompt: "a", image }).next(),
    };
    const own = membersOf(other);
    // What a class gets in addition belongs into the table above, or here if it is of no use for callers.
    expect(own.filter((name) => !Object.hasOwn(uses, name) && !NOT_USED.includes(name))).toEqual([]);
    const attempts = own
      .filter((name) => Object.hasOwn(uses, name))
      .map((name) => [name, () => uses[name]!(other as never)]);
    if (loras) {
      const ofLoras: Record<string, () => unknown> = {
        load: () => loras.load(LORA),
        setScale: () => loras.setScale("a", 1),
        unload: () => loras.unload(),
        fuse: () => loras.fuse(),
        unfuse: () => loras.unfuse(),
        scales: () => loras.scales,
        models: () => loras.models,
      };
      expect(membersOf(loras).filter((name) => !Object.hasOwn(ofLoras, name) && !NOT_USED.includes(name))).toEqual([]);
      attempts.push(...Object.entries(ofLoras));
    }
    for (const [name, attempt] of attempts as [string, () => unknown][]) {
      const error: unknown = await (async () => attempt())().catch((error: unknown) => error);
      expect(`${name}: ${String(error)}`).toContain("disposed of");
      expect(error instanceof MissingWeightsError || error instanceof DisposedError).toBe(true);
    }
    image.dispose();
    expect(existsSync(folder)).toBe(false);
    expect(tf.memory().numTensors).toBe(before);
  });
});

const LORA = fileURLToPath(new URL("../../core/fixtures/lora/peft/pytorch_lora_weights.safetensors", import.meta.url));
const WORD = new Uint8Array();

/** Members that read no weights, and methods that only subclasses call. */
const NOT_USED = [
  ...["constructor", "dispose", "input", "options", "loras", "pipeline", "className"],
  ...["table", "sizes", "factor", "textSizes", "promptTexts", "promptReaders", "encodeTexts", "condition", "check"],
  ...["fit", "isGuided", "denoiser", "timestepCond", "pictures", "start"],
];

/** The names of all methods and properties, also of those that are inherited. */
function membersOf(object: object): string[] {
  const names = new Set(Object.getOwnPropertyNames(object));
  for (
    let at = Object.getPrototypeOf(object) as object;
    at !== Object.prototype;
    at = Object.getPrototypeOf(at) as object
  )
    for (const name of Object.getOwnPropertyNames(at)) names.add(name);
  return [...names];
}
