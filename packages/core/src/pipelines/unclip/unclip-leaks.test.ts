import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import type { Model } from "../../models/model.js";
import { traceLayers } from "../../nn/layer-trace.js";
import { useTestBackend } from "../../testing/backend.js";
import { writeTinyUnCLIP } from "../../testing/unclip.js";
import { UnCLIPImageVariationPipeline } from "./unclip-image-variation.js";
import type { UnCLIPDrawingOptions } from "./unclip-options.js";
import { UnCLIPPipeline } from "./unclip.js";

const FEW = { decoderNumInferenceSteps: 2, superResNumInferenceSteps: 2 };

/** The networks in the order of the stages. */
const DRAWING = ["textEncoder", "textProj", "decoder", "superResFirst", "superResLast"];
const KINDS = [
  ["text", [...DRAWING, "prior"], 6],
  ["variation", [...DRAWING, "imageEncoder"], 4],
] as const;

beforeAll(useTestBackend);

describe.each(KINDS)("unCLIP (%s) leaves no tensor behind", (kind, networks, total) => {
  let folder: string;
  let pipeline: UnCLIPPipeline | UnCLIPImageVariationPipeline;
  let image: tf.Tensor3D;
  let unloaded: number;
  let loaded: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "leaks "));
    await writeTinyUnCLIP(folder, kind);
    unloaded = tf.memory().numTensors;
    const Class = kind === "text" ? UnCLIPPipeline : UnCLIPImageVariationPipeline;
    pipeline = await Class.fromPretrained(folder);
    image = tf.fill([20, 30, 3], 0.5);
    loaded = tf.memory().numTensors;
  });
  afterAll(() => rm(folder, { recursive: true }));

  const options = (more: UnCLIPDrawingOptions = {}) =>
    ({
      ...FEW,
      ...(kind === "text" ? { prompt: "a cube", priorNumInferenceSteps: 2 } : { image }),
      ...more,
    }) as UnCLIPDrawingOptions;
  async function draw(more?: UnCLIPDrawingOptions): Promise<void> {
    const { images, latents } = await pipeline.generate(options(more));
    tf.dispose([images, latents]);
  }

  it("in 20 generations, guided and not", async () => {
    for (let seed = 0; seed < 20; seed++) {
      await draw({ seed, numImages: 1 + (seed % 2), ...(seed % 3 === 0 && { decoderGuidanceScale: 1 }) });
      expect(tf.memory().numTensors).toBe(loaded);
    }
  });

  it("when it is aborted, its loop is left or onStep throws, at each step", async () => {
    for (let last = 0; last < total; last++) {
      const abort = new AbortController();
      const stop = ({ index }: { index: number }) => index === last && abort.abort(new Error("enough"));
      await expect(draw({ signal: abort.signal, onStep: stop })).rejects.toThrow("enough");
      for await (const { index, preview } of pipeline.steps(options())) {
        preview().dispose();
        if (index === last) break;
      }
      const fail = ({ index }: { index: number }) => {
        if (index === last) throw new Error("mine");
      };
      await expect(draw({ onStep: fail })).rejects.toThrow("mine");
      expect(tf.memory().numTensors).toBe(loaded);
    }
    await expect(draw({ signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
    expect(tf.memory().numTensors).toBe(loaded);
  });

  it.each(networks)("in 20 that fail in a random layer of %s", async (name) => {
    const random = keyedRandom(2, name);
    let entered = 0;
    let failing = Infinity;
    const end = traceLayers((pipeline.parts as unknown as Record<string, Model>)[name]!, {
      enter() {
        if (entered++ === failing) throw new Error("no memory");
      },
    });
    await draw();
    const layers = entered;
    expect(layers).toBeGreaterThan(0);
    for (let i = 0; i < 20; i++) {
      [entered, failing] = [0, random.integer(layers)];
      await expect(draw()).rejects.toThrow("no memory");
      expect(tf.memory().numTensors).toBe(loaded);
    }
    end();
  });

  it("when its source of noise throws", async () => {
    for (let left = 0; left < total; left++) {
      let drawn = 0;
      const normal = (shape: number[]) => {
        if (drawn++ === left) throw new Error("no noise");
        return tf.zeros(shape);
      };
      await expect(draw({ noise: { normal, uniform: normal } })).rejects.toThrow("no noise");
      expect(tf.memory().numTensors).toBe(loaded);
    }
  });

  it("when it is disposed of", () => {
    pipeline.dispose();
    image.dispose();
    expect(tf.memory().numTensors).toBe(unloaded);
  });
});
