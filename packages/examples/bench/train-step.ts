/**
 * Where the time of a training step goes, for the UNet of the faces:
 *   npx tsx bench/train-step.ts [node|wasm|cpu] [--batch 32] [--kernels]
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { UNet2DConditionModel } from "@tfjs-diffusion/core/models";
import { denoisingLoss, parameterGradients, train } from "@tfjs-diffusion/core/training";
import { DDIMScheduler, keyedNoise, type KeyedNoise } from "@tfjs-diffusion/schedulers";
import { type KernelCost, kernelCosts } from "./kernel-costs.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    batch: { type: "string", default: "32" },
    repeat: { type: "string", default: "10" },
    kernels: { type: "boolean", default: false },
  },
});
const batch = Number(values.batch);
const repeat = Number(values.repeat);

const CONFIG = {
  sample_size: 16,
  in_channels: 3,
  out_channels: 3,
  block_out_channels: [32, 48, 64],
  layers_per_block: 2,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"] as const,
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"] as const,
  cross_attention_dim: 96,
  attention_head_dim: 4,
  norm_num_groups: 8,
};

const { name, detail } = await useBackend(positionals[0]);
const unet = new UNet2DConditionModel(CONFIG as never);
unet.initialize(keyedNoise(0));
const parameters = unet.parameters();
const noise = keyedNoise(1);
const x0 = noise.normal([batch, 16, 16, 3]) as tf.Tensor4D;
const context = noise.normal([batch, 32, 96]) as tf.Tensor3D;
const scheduler = new DDIMScheduler({ beta_schedule: "squaredcos_cap_v2", prediction_type: "v_prediction" });
const loss = ({ noise }: { noise: KeyedNoise }) =>
  denoisingLoss({
    scheduler,
    x0,
    noise,
    model: (noisy, timesteps) => unet.forward(noisy, tf.tensor1d(timesteps), context),
  });

/** Milliseconds that `body` takes. */
async function timed(body: () => unknown): Promise<number> {
  const started = performance.now();
  await body();
  return performance.now() - started;
}

// They run in turns and the best of each counts, because other work on the machine only adds time.
const run = { parameters, loss, steps: repeat + 2, batchSize: batch, seed: 0, gradientClip: 1, emaDecay: 0.999 };
const steps = train({ ...run, schedule: 1e-4 });
let [forward, gradient, whole] = [Infinity, Infinity, Infinity];
for (let i = 0; i < repeat + 2; i++) {
  forward = Math.min(forward, await timed(() => tf.tidy(() => void loss({ noise }).dataSync())));
  const gradients = () => parameterGradients(() => loss({ noise }), parameters);
  gradient = Math.min(gradient, await timed(() => tf.tidy(() => void gradients().loss.dataSync())));
  whole = Math.min(whole, await timed(() => steps.next()));
}

const costs = await kernelCosts(() => parameterGradients(() => loss({ noise }), parameters));
const flop = costs.reduce((sum, cost) => sum + cost.flop, 0);
const parameterCount = [...parameters.values()].reduce((sum, { size }) => sum + size, 0);

console.log(
  `${name}${detail ? ` (${detail})` : ""}, ${cpus()[0]!.model}, ${parameters.size} parameters of ${parameterCount} numbers, batch ${batch}`,
);
const row = (part: string, time: number) =>
  console.log(
    `${part.padEnd(28)} ${time.toFixed(1).padStart(8)} ms ${((100 * time) / whole).toFixed(0).padStart(4)} %`,
  );
row("forward and loss", forward);
row("backward", gradient - forward);
row("clip, AdamW, EMA, reading", whole - gradient);
row("whole step", whole);
console.log(
  `${((flop / whole) * 1e-6).toFixed(1)} GFLOP/s over the whole step: ${(flop * 1e-9).toFixed(1)} GFLOP, ${((batch / whole) * 1000).toFixed(0)} images/s`,
);

if (values.kernels) {
  console.log(
    "\nkernel                          calls        ms      GFLOP/s   (one gradient, under the profiler, which reads each result)",
  );
  for (const cost of costs.slice(0, 25)) printKernel(cost);
}

function printKernel({ name, calls, milliseconds, flop }: KernelCost): void {
  const speed = flop > 0 ? ((flop / milliseconds) * 1e-6).toFixed(1) : "";
  console.log(
    `${name.padEnd(30)} ${String(calls).padStart(6)} ${milliseconds.toFixed(1).padStart(9)} ${speed.padStart(12)}`,
  );
}
