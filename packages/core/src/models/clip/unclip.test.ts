import { beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import type { PriorTransformer } from "./prior-transformer.js";
import type { UnCLIPTextProjModel } from "./unclip-text-proj.js";

// Both far above the noise floors of meta.json (3e-7 and 1e-7), and far below any mistake.
const FORWARD = 1e-5;

describe("unCLIP", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  it("has diffusers' PriorTransformer, masked and causal, or neither", async () => {
    const prior = await loadFixture<PriorTransformer>("unclip_prior");
    const golden = await Golden.read("unclip_prior");
    const x = golden.tensor<tf.Tensor2D>("in.hidden_states");
    const inputs = {
      projEmbedding: golden.tensor<tf.Tensor2D>("in.proj_embedding"),
      hiddenStates: golden.tensor<tf.Tensor3D>("in.encoder_hidden_states"),
    };
    const attentionMask = golden.tensor<tf.Tensor2D>("in.attention_mask");
    const timesteps = [...golden.tensor("in.timesteps").dataSync()];
    const before = tf.memory().numTensors;
    const results = timesteps.map((t) => prior.forward(x, t, { ...inputs, attentionMask }));
    expect(tf.memory().numTensors).toBe(before + timesteps.length);
    const errors = new Map(
      results.map((result, i) => [`t${timesteps[i]}`, golden.error(`out.t${timesteps[i]}`, result)]),
    );
    const unmasked = prior.forward(x, timesteps[0]!, inputs);
    errors.set("nomask", golden.error("out.nomask", unmasked));
    errors.set("post_process", golden.error("out.post_process", prior.postProcess(unmasked)));
    expect(above(FORWARD, errors)).toEqual([]);
  });

  it.each([false, true])("has diffusers' UnCLIPTextProjModel, with guidance: %s", async (doClassifierFreeGuidance) => {
    const model = await loadFixture<UnCLIPTextProjModel>("unclip_text_proj");
    const golden = await Golden.read("unclip_text_proj");
    const suffix = doClassifierFreeGuidance ? "_cfg" : "";
    const { context, classLabels } = model.forward({
      imageEmbeddings: golden.tensor("in.image_embeddings"),
      promptEmbeds: golden.tensor(`in.prompt_embeds${suffix}`),
      textEncoderHiddenStates: golden.tensor(`in.text_encoder_hidden_states${suffix}`),
      doClassifierFreeGuidance,
    });
    const prefix = doClassifierFreeGuidance ? "out.cfg_" : "out.";
    expect(golden.error(`${prefix}text_encoder_hidden_states`, context)).toBeLessThan(FORWARD);
    expect(golden.error(`${prefix}additive_clip_time_embeddings`, classLabels)).toBeLessThan(FORWARD);
  });
});
