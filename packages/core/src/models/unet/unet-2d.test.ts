import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../../backend/use-backend.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import { gradientErrors, gradientsByName } from "../../testing/gradients.js";
import { numbered, record } from "../../testing/record.js";
import { AdamW } from "../../training/adamw.js";
import type { UNet2DModel } from "./unet-2d.js";

// 10 times the difference between PyTorch's own float32 and float64 (meta.json: 8e-7 forward, 5e-6 for gradients,
// 1.4e-6 for parameters after AdamW).
const FORWARD = 1e-5;
const GRADIENT = 5e-5;

const load = (folder: string) => loadFixture<UNet2DModel>(folder);

describe("UNet2DModel", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it.each(["unet2d_basic", "unet2d_class_scaleshift", "unet2d_ddpm_cifar", "unclip_superres"])(
    "equals diffusers on %s: results at every timestep, and inside",
    async (folder) => {
      const unet = await load(folder);
      const golden = await Golden.read(folder);
      const x = golden.tensor<tf.Tensor4D>("in.sample");
      const classLabels = golden.has("in.class_labels") ? golden.tensor("in.class_labels") : undefined;
      const recorded = record({
        time_embedding: unet.time_embedding,
        conv_in: unet.conv_in,
        ...numbered("down", unet.down_blocks),
        mid: unet.mid_block,
        ...numbered("up", unet.up_blocks),
      });
      const errors = new Map<string, number>();
      for (const [i, t] of golden.tensor("in.timesteps").dataSync().entries()) {
        // A timestep for each image, then one number for all.
        const time = i === 0 ? tf.fill<tf.Rank.R1>([x.shape[0]], t) : t;
        errors.set(`t = ${t}`, golden.error(`out.t${t}`, unet.forward(x, time, { classLabels })));
        if (i > 0) continue;
        for (const name of golden.names("hook.")) errors.set(name, golden.error(name, recorded.get(name.slice(5))!));
      }
      expect(above(FORWARD, errors)).toEqual([]);
    },
  );

  it("has PyTorch's gradients, and its losses and parameters over 5 steps of AdamW", async () => {
    const golden = await Golden.read("unet2d_basic");
    const losses = await trainAndCompare(golden, 5);
    expect(golden.error("out.adamw_losses", tf.tensor1d(losses))).toBeLessThan(FORWARD);
  });

  it("has PyTorch's gradients, and its parameters after a step of AdamW, on the cpu backend", async () => {
    await useBackend("cpu");
    await trainAndCompare(await Golden.read("unet2d_basic"), 1);
    await useTestBackend();
  });
});

/** Trains on the fixture's one batch; compares the first gradients, and parameters where the fixture has them. */
async function trainAndCompare(golden: Golden, steps: number): Promise<number[]> {
  const unet = await load("unet2d_basic");
  const [x, noise] = [golden.tensor<tf.Tensor4D>("in.x_t"), golden.tensor<tf.Tensor4D>("in.noise")];
  const t = golden.tensor<tf.Tensor1D>("in.t_batch");
  const lossNow = () => unet.forward(x, t).sub(noise).square().mean<tf.Scalar>();
  const learningRate = 1e-3;
  const optimizer = new AdamW(unet.parameters(), { weightDecay: 0.01 });
  const losses: number[] = [];
  for (let step = 1; step <= steps; step++) {
    const { loss, gradients } = gradientsByName(unet, lossNow);
    if (step === 1) expect(above(GRADIENT, gradientErrors(unet, golden, gradients))).toEqual([]);
    losses.push(loss.dataSync()[0]!);
    optimizer.step(gradients, learningRate);
    if (golden.names(`adamw${step}.`).length > 0) {
      expect(above(GRADIENT, parameterErrors(unet, golden, step, learningRate))).toEqual([]);
    }
  }
  return losses;
}

/**
 * Relative errors of the parameters after some steps. A key bias has gradient 0, so AdamW scales its rounding noise up
 * to steps of the learning rate. Only the size of these steps can be tested.
 */
function parameterErrors(unet: UNet2DModel, golden: Golden, steps: number, learningRate: number): Map<string, number> {
  const errors = new Map<string, number>();
  for (const [name, parameter] of unet.namedParameters()) {
    const stored = `adamw${steps}.${name}`;
    if (!name.endsWith("to_k.bias")) {
      errors.set(name, golden.parameterError(stored, parameter, parameter.value));
      continue;
    }
    const distance = tf.tidy(() => golden.tensor(stored).sub(parameter.value).abs().max().dataSync()[0]!);
    errors.set(name, distance <= 2 * steps * learningRate ? 0 : distance);
  }
  return errors;
}
