/**
 * One measurement of full-size.ts, in a separate process to measure its peak memory: full-size-part.js write FOLDER |
 * unet FOLDER BACKEND | vae FOLDER BACKEND Sends a {@link PartAnswer}.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { loadModel, useBackend, writeSafetensors } from "@tfjs-diffusion/core";
import { AutoencoderKL, type Model, UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { type TensorToWrite } from "@tfjs-diffusion/core/weights";
import { keyedNoise } from "@tfjs-diffusion/schedulers";

export interface PartAnswer {
  backend: string;
  /** The time to load the weights, or to draw and write them. */
  loadSeconds: number;
  /** The times of the first call and of the second, which has no set-up. */
  runSeconds: number[];
  /** The largest resident set of the process, in GiB. */
  peakGiB: number;
  /** The largest magnitude of the result: finite, and not 0. */
  largest: number;
}

/** Stable Diffusion 1.5's networks, by their published configs. */
const NETWORKS: Record<"unet" | "vae", () => Model> = {
  unet: () => new UNet2DConditionModel({ cross_attention_dim: 768 }),
  vae: () =>
    new AutoencoderKL({
      block_out_channels: [128, 256, 512, 512],
      down_block_types: Array<string>(4).fill("DownEncoderBlock2D"),
      up_block_types: Array<string>(4).fill("UpDecoderBlock2D"),
      layers_per_block: 2,
    } as ConstructorParameters<typeof AutoencoderKL>[0]),
};

const [part, folder, backend] = process.argv.slice(2) as ["write" | "unet" | "vae", string, string | undefined];
const seconds = (since: number) => (performance.now() - since) / 1000;
const used = await useBackend(backend || undefined);
const name = used.detail ? `${used.name}, ${used.detail}` : used.name;
const answer = part === "write" ? await write() : await run(part);
const peakGiB = process.resourceUsage().maxRSS / 2 ** 20;
process.send!({ backend: name, peakGiB, ...answer } satisfies PartAnswer);

/**
 * Repeats a million random numbers. The measurement does not depend on their number, and 943 million would take minutes
 * to draw.
 */
function repeated(block: Float32Array): (shape: number[]) => tf.Tensor {
  return (shape) => {
    const values = new Float32Array(tf.util.sizeFromShape(shape));
    for (let at = 0; at < values.length; at += block.length) values.set(block.subarray(0, values.length - at), at);
    return tf.tensor(values, shape);
  };
}

/** Draws the weights one tensor at a time, as an untrained network has them, and writes them as float16. */
async function write(): Promise<Omit<PartAnswer, "backend" | "peakGiB">> {
  const begin = performance.now();
  const [uniform, normal] = tf.tidy(() => {
    const noise = keyedNoise(0);
    return [noise.uniform([2 ** 20]), noise.normal([2 ** 20])].map((x) => x.dataSync() as Float32Array);
  }) as unknown as [Float32Array, Float32Array];
  const repeatedNoise = { uniform: repeated(uniform), normal: repeated(normal) };
  for (const [kind, build] of Object.entries(NETWORKS)) {
    const path = join(folder, kind, "diffusion_pytorch_model.safetensors");
    if (existsSync(path)) continue;
    mkdirSync(join(folder, kind), { recursive: true });
    const model = build();
    const tensors = new Map(
      [...model.namedParameters()].map(([key, parameter]): [string, TensorToWrite] => {
        const data = async () => {
          tf.tidy(() => parameter.assign(parameter.initializer(parameter.shape, repeatedNoise)));
          const onDisk = parameter.toDisk();
          const numbers = (await onDisk.data()) as Float32Array;
          onDisk.dispose();
          parameter.dispose();
          return numbers;
        };
        return [key, { dtype: "F16", shape: parameter.diskShape, data }];
      }),
    );
    await writeSafetensors(path, tensors);
    writeFileSync(join(folder, kind, "config.json"), JSON.stringify(model.config));
  }
  return { loadSeconds: seconds(begin), runSeconds: [], largest: 0 };
}

async function run(kind: "unet" | "vae"): Promise<Omit<PartAnswer, "backend" | "peakGiB">> {
  const begin = performance.now();
  const model = await loadModel(join(folder, kind));
  const loadSeconds = seconds(begin);
  const noise = keyedNoise(1);
  const latents = noise.normal([1, 64, 64, 4]) as tf.Tensor4D;
  const context = noise.normal([1, 77, 768]) as tf.Tensor3D;
  const once = () =>
    kind === "unet"
      ? (model as UNet2DConditionModel).forward(latents, 500, context)
      : (model as AutoencoderKL).decode(latents);
  const runSeconds: number[] = [];
  let largest = NaN;
  for (let i = 0; i < 2; i++) {
    const start = performance.now();
    const result = once();
    largest = (await result.abs().max().data())[0]!;
    result.dispose();
    runSeconds.push(seconds(start));
  }
  if (!(largest > 0 && Number.isFinite(largest))) throw new Error(`${kind}: the result's largest value is ${largest}.`);
  return { loadSeconds, runSeconds, largest };
}
