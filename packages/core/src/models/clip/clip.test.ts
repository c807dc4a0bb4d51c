import { beforeAll, describe, expect, it } from "@jest/globals";
import type * as tf from "@tensorflow/tfjs";
import { useBackend } from "../../backend/use-backend.js";
import { useTestBackend } from "../../testing/backend.js";
import { above, Golden, loadFixture } from "../../testing/fixture.js";
import { gradientErrors, gradientsByName } from "../../testing/gradients.js";
import type { CLIPModel } from "./clip-model.js";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "./clip-text-model.js";
import type { CLIPVisionModelWithProjection } from "./clip-vision-model.js";

// 10 times the difference between PyTorch's own float32 and float64 (meta.json: 4e-7 forward, 1.3e-6 for gradients).
const FORWARD = 1e-5;
const GRADIENT = 5e-5;

describe("CLIP", () => {
  beforeAll(async () => {
    await useTestBackend();
  });

  for (const folder of ["clip_text_quickgelu", "clip_text_gelu"]) {
    it(`reads text as transformers does on ${folder}: every state, and the pooled one`, async () => {
      const model = await loadFixture<CLIPTextModel>(folder);
      const golden = await Golden.read(folder);
      const got = model.forward(golden.tensor("in.input_ids"));
      expect(golden.error("out.last_hidden_state", got.lastHiddenState)).toBeLessThan(FORWARD);
      expect(golden.error("out.pooler_output", got.pooled)).toBeLessThan(FORWARD);
      expect(golden.names("out.hidden")).toHaveLength(got.hiddenStates.length);
      for (const [i, state] of got.hiddenStates.entries()) {
        expect(golden.error(`out.hidden${i}`, state)).toBeLessThan(FORWARD);
      }
      const skipped = model.text_model.final_layer_norm.forward(got.hiddenStates.at(-2)!);
      expect(golden.error("out.clip_skip2", skipped)).toBeLessThan(FORWARD);
      if (golden.has("in.attention_mask")) {
        const masked = model.forward(golden.tensor("in.input_ids"), {
          attentionMask: golden.tensor<tf.Tensor2D>("in.attention_mask"),
        });
        expect(golden.error("out.masked_last_hidden_state", masked.lastHiddenState)).toBeLessThan(FORWARD);
      }
    });
  }

  it.each(["clip_text_quickgelu", "clip_text_gelu"])(
    "finds the ends of texts that cannot be read at once, on %s",
    async (folder) => {
      const model = await loadFixture<CLIPTextModel>(folder);
      const golden = await Golden.read(folder);
      const ids = golden.tensor<tf.Tensor2D>("in.input_ids");
      ids.dataSync = () => {
        throw new Error("These values are on the card."); // As on WebGPU in Node.
      };
      expect(golden.error("out.pooler_output", model.forward(ids).pooled)).toBeLessThan(FORWARD);
    },
  );

  it("projects the pooled text as transformers does on clip_text_proj", async () => {
    const model = await loadFixture<CLIPTextModelWithProjection>("clip_text_proj");
    const golden = await Golden.read("clip_text_proj");
    const got = model.forward(golden.tensor("in.input_ids"));
    expect(golden.error("out.text_embeds", got.textEmbeds)).toBeLessThan(FORWARD);
    expect(golden.error("out.last_hidden_state", got.lastHiddenState)).toBeLessThan(FORWARD);
  });

  it("encodes pictures as transformers does on clip_vision_proj", async () => {
    const model = await loadFixture<CLIPVisionModelWithProjection>("clip_vision_proj");
    const golden = await Golden.read("clip_vision_proj");
    const got = model.forward(golden.tensor("in.pixel_values"));
    expect(golden.error("out.image_embeds", got.imageEmbeds)).toBeLessThan(FORWARD);
    expect(golden.error("out.last_hidden_state", got.lastHiddenState)).toBeLessThan(FORWARD);
    for (const [i, state] of got.hiddenStates.entries()) {
      expect(golden.error(`out.hidden${i}`, state)).toBeLessThan(FORWARD);
    }
  });

  for (const backend of ["the backend of all tests", "cpu"]) {
    it(`has transformers' logits, contrastive loss and gradient of every parameter, on ${backend}`, async () => {
      if (backend === "cpu") await useBackend(backend);
      const model = await loadFixture<CLIPModel>("clip_joint");
      const golden = await Golden.read("clip_joint");
      const [ids, pixels] = [golden.tensor<tf.Tensor2D>("in.input_ids"), golden.tensor<tf.Tensor4D>("in.pixel_values")];
      const got = model.forward(ids, pixels);
      expect(golden.error("out.logits_per_image", got.logitsPerImage)).toBeLessThan(FORWARD);
      expect(golden.error("out.logits_per_text", got.logitsPerText)).toBeLessThan(FORWARD);
      expect(golden.error("out.text_embeds", got.textEmbeds)).toBeLessThan(FORWARD);
      expect(golden.error("out.image_embeds", got.imageEmbeds)).toBeLessThan(FORWARD);
      expect(golden.error("out.loss", got.loss)).toBeLessThan(FORWARD);

      const { gradients } = gradientsByName(model, () => model.forward(ids, pixels).loss);
      expect(above(GRADIENT, gradientErrors(model, golden, gradients))).toEqual([]);
      await useTestBackend();
    });
  }
});
