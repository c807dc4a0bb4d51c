import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "@tfjs-diffusion/core";
import { CLIPModel } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { conditioning, newNetworks, type PortraitNetworks, readPart } from "./networks.js";
import { clipConfig } from "./settings.js";

const folder = mkdtempSync(join(tmpdir(), "portraits-"));
const IDS = [
  [510, 3, 7, 511],
  [510, 9, 511, 511],
];
let networks: PortraitNetworks;

beforeAll(async () => {
  await useBackend("wasm");
  const clip = new CLIPModel(clipConfig());
  clip.initialize(keyedNoise(1));
  await clip.save(folder);
  clip.dispose();
  networks = await newNetworks(0, folder);
});
afterAll(() => {
  for (const network of Object.values({ ...networks })) network.dispose();
  rmSync(folder, { recursive: true });
});

describe("The conditioning of the UNet by captions", () => {
  it("consists of the concatenated states of both towers before their last layer, and the second's vector", () => {
    tf.tidy(() => {
      const ids = tf.tensor2d(IDS, undefined, "int32");
      const { context, textEmbeds, timeIds } = conditioning(networks, ids);
      expect(context.shape).toEqual([2, 4, 256]);
      const states = networks.textEncoder.forward(ids).hiddenStates;
      expect(
        context
          .slice([0, 0, 0], [2, 4, 128])
          .sub(states[states.length - 2]!)
          .abs()
          .max()
          .dataSync()[0],
      ).toBe(0);
      expect(textEmbeds.shape).toEqual([2, 128]);
      expect(timeIds.arraySync()).toEqual([
        [32, 32, 0, 0, 32, 32],
        [32, 32, 0, 0, 32, 32],
      ]);
    });
  });

  it("goes through the UNet, and gives a gradient to exactly the variables that are trained", () => {
    const learning = readPart(networks.textEncoder).map(([, variable]) => variable);
    const loss = () => {
      const { context, ...added } = conditioning(networks, tf.tensor2d(IDS, undefined, "int32"));
      const noisy = keyedNoise(3).normal([2, 8, 8, 4]) as tf.Tensor4D;
      return networks.unet
        .forward(noisy, tf.tensor1d([10, 900]), context, added)
        .square()
        .mean<tf.Scalar>();
    };
    const { value, grads } = tf.variableGrads(loss, learning);
    for (const variable of learning) expect(grads[variable.name]!.abs().sum().dataSync()[0]).toBeGreaterThan(0);
    expect(learning.length).toBeLessThan(networks.textEncoder.parameters().size);
    tf.dispose([value, grads]);
  });
});
