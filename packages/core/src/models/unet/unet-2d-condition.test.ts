import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../../testing/backend.js";
import type { Transformer2DModel } from "../../nn/spatial-attention.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import { gradientErrors, gradientsByName } from "../../testing/gradients.js";
import { numbered, record } from "../../testing/record.js";
import type { UNet2DConditionModel } from "./unet-2d-condition.js";
import { type UNet2DConditionInputs } from "./unet-2d-condition.js";

// 10 times the difference between PyTorch's own float32 and float64 (meta.json: 6e-7 to 1e-6 forward, 3e-6 for
// gradients).
const FORWARD = 1e-5;
const GRADIENT = 5e-5;

const load = (folder: string) => loadFixture<UNet2DConditionModel>(folder);

interface Inputs extends UNet2DConditionInputs {
  x: tf.Tensor4D;
  context: tf.Tensor3D;
}

function inputsOf(golden: Golden): Inputs {
  const optional = <T extends tf.Tensor>(name: string) => (golden.has(name) ? golden.tensor<T>(name) : undefined);
  return {
    x: golden.tensor("in.sample"),
    context: golden.tensor("in.encoder_hidden_states"),
    textEmbeds: optional("in.text_embeds"),
    timeIds: optional("in.time_ids"),
    timestepCond: optional("in.timestep_cond"),
    classLabels: optional("in.class_labels"),
    encoderAttentionMask: optional("in.encoder_attention_mask") ?? optional("in.attention_mask"),
  };
}

function recordAll(unet: UNet2DConditionModel): Map<string, tf.Tensor> {
  const level = unet.down_blocks.findIndex(({ attentions }) => attentions);
  const attention = unet.down_blocks[level]?.attentions?.[0] as Transformer2DModel | undefined;
  const block = attention?.transformer_blocks?.[0];
  return record({
    time_embedding: unet.time_embedding,
    add_embedding: unet.add_embedding,
    conv_in: unet.conv_in,
    ...numbered("down", unet.down_blocks),
    mid: unet.mid_block,
    ...numbered("up", unet.up_blocks),
    first_attention: attention,
    first_attention_attn1: block?.attn1,
    first_attention_attn2: block?.attn2,
    first_attention_ff: block?.ff,
  });
}

const FOLDERS = ["unet_sd1", "unet_sd2", "unet_sdxl", "unet_lcm", "unet_masked", "unet_inpaint9", "unclip_decoder"];

describe("UNet2DConditionModel", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it.each(FOLDERS)("equals diffusers on %s: results at every timestep, and inside", async (folder) => {
    const unet = await load(folder);
    const golden = await Golden.read(folder);
    const { x, context, ...inputs } = inputsOf(golden);
    const errors = new Map<string, number>();
    const recorded = recordAll(unet);
    for (const [i, t] of golden.tensor("in.timesteps").dataSync().entries()) {
      // A timestep for each image, then one number for all.
      const time = i === 0 ? tf.fill<tf.Rank.R1>([x.shape[0]], t) : t;
      errors.set(`t = ${t}`, golden.error(`out.t${t}`, unet.forward(x, time, context, inputs)));
      if (i > 0) continue;
      for (const name of golden.names("hook.")) errors.set(name, golden.error(name, recorded.get(name.slice(5))!));
    }
    expect(above(FORWARD, errors)).toEqual([]);
  });

  it.each(["unet_sd1", "unet_sd2"])("takes sizes that do not halve evenly, on %s", async (folder) => {
    const unet = await load(folder);
    const golden = await Golden.read(folder);
    const [t] = golden.tensor("in.timesteps").dataSync();
    const got = unet.forward(golden.tensor("in.odd_sample"), t!, golden.tensor("in.encoder_hidden_states"));
    expect(golden.error("out.odd", got)).toBeLessThan(FORWARD);
  });

  it("reads a list of head sizes on the way up as diffusers does: from the coarsest level", async () => {
    const unet = await load("unet_head_sizes");
    const golden = await Golden.read("unet_head_sizes");
    const got = unet.forward(golden.tensor("in.sample"), 7, golden.tensor("in.encoder_hidden_states"));
    expect(golden.error("out.sample", got)).toBeLessThan(FORWARD);
  });

  it("is unmasked on unclip_decoder without a mask", async () => {
    const unet = await load("unclip_decoder");
    const golden = await Golden.read("unclip_decoder");
    const { x, context, classLabels } = inputsOf(golden);
    const [t] = golden.tensor("in.timesteps").dataSync();
    expect(golden.error("out.nomask", unet.forward(x, t!, context, { classLabels }))).toBeLessThan(FORWARD);
  });

  it("has diffusers' gradient of every parameter and of the text", async () => {
    const unet = await load("unet_sd1");
    const golden = await Golden.read("unet_sd1");
    const [x, noise] = [golden.tensor<tf.Tensor4D>("in.sample"), golden.tensor<tf.Tensor4D>("in.noise")];
    const [t, context] = [
      golden.tensor<tf.Tensor1D>("in.t_batch"),
      golden.tensor<tf.Tensor3D>("in.encoder_hidden_states"),
    ];
    const lossFor = (context: tf.Tensor3D) =>
      tf.tidy(() => unet.forward(x, t, context).sub(noise).square().mean<tf.Scalar>());
    const { loss, gradients } = gradientsByName(unet, () => lossFor(context));
    expect(golden.error("out.loss", loss)).toBeLessThan(FORWARD);
    expect(above(GRADIENT, gradientErrors(unet, golden, gradients))).toEqual([]);
    const contextGradient = tf.grad((context) => lossFor(context as tf.Tensor3D))(context);
    expect(golden.error("gradin.encoder_hidden_states", contextGradient)).toBeLessThan(GRADIENT);
  });

  it("leaves only its result", async () => {
    const before = tf.memory().numTensors;
    const unet = await load("unet_sd1");
    const golden = await Golden.read("unet_sd1");
    const { x, context } = inputsOf(golden);
    const loaded = tf.memory().numTensors;
    const result = unet.forward(x, 7, context);
    expect(tf.memory().numTensors).toBe(loaded + 1);
    tf.dispose([result, x, context]);
    unet.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
