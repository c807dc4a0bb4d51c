import { beforeAll, describe, expect, it } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../testing/backend.js";
import { Golden, loadFixture } from "../testing/fixture.js";
import type { AutoencoderKL } from "./autoencoder/autoencoder-kl.js";
import type { UNet2DModel } from "./unet/unet-2d.js";

// 10 times the difference between PyTorch's own float32 and float64 (meta.json: 6e-7).
const FORWARD = 1e-5;

describe("With another act_fn than SiLU, the blocks use it and the last normalisation does not, as in diffusers:", () => {
  beforeAll(() => useTestBackend());

  it("AutoencoderKL", async () => {
    const [vae, golden] = [await loadFixture<AutoencoderKL>("vae_mish"), await Golden.read("vae_mish")];
    const { mean, logvar } = vae.encode(golden.tensor<tf.Tensor4D>("in.x"));
    expect(golden.error("out.mean", mean)).toBeLessThan(FORWARD);
    expect(golden.error("out.logvar", logvar)).toBeLessThan(FORWARD);
    expect(golden.error("out.sample", vae.decode(golden.tensor<tf.Tensor4D>("in.z")))).toBeLessThan(FORWARD);
  });

  it("UNet2DModel", async () => {
    const [unet, golden] = [await loadFixture<UNet2DModel>("unet2d_mish"), await Golden.read("unet2d_mish")];
    const output = unet.forward(golden.tensor<tf.Tensor4D>("in.x"), golden.tensor<tf.Tensor1D>("in.t"));
    expect(golden.error("out.sample", output)).toBeLessThan(FORWARD);
  });
});
