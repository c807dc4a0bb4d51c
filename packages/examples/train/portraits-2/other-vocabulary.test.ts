import { beforeAll, describe, expect, it } from "@jest/globals";
import { loadModel, useBackend } from "@tfjs-diffusion/core";
import { CLIPTextModelWithProjection } from "@tfjs-diffusion/core/models";
import { keyedNoise } from "@tfjs-diffusion/schedulers";
import { packagePath } from "../../src/package-folder.js";
import { portraitVocabulary } from "../portraits/settings.js";
import { takeValues } from "./other-vocabulary.js";
import { clipConfig, portrait2Vocabulary } from "./settings.js";

const TOKENS = "text_model.embeddings.token_embedding.weight";

describe("A network with more words that takes another's values", () => {
  beforeAll(() => useBackend("cpu"));

  it("knows the words of both vocabularies as the other does, and keeps its own values for the new words", async () => {
    const first = (await loadModel(
      packagePath("weights", "portraits", "text_encoder_2"),
    )) as CLIPTextModelWithProjection;
    const second = new CLIPTextModelWithProjection(clipConfig().text_config);
    second.initialize(keyedNoise(1));
    const row = (model: CLIPTextModelWithProjection, id: number) => [
      ...model.parameters().get(TOKENS)!.slice([id, 0], [1, -1]).dataSync(),
    ];
    const [oldIds, newIds] = [portraitVocabulary().vocab, portrait2Vocabulary().vocab];
    expect("girl</w>" in oldIds).toBe(false);
    const girl = row(second, newIds["girl</w>"]!);
    takeValues(second, first, oldIds);
    for (const token of ["hat</w>", "<|endoftext|>", "a</w>"]) {
      expect([token, row(second, newIds[token]!)]).toEqual([token, row(first, oldIds[token]!)]);
    }
    expect(row(second, newIds["girl</w>"]!)).toEqual(girl);
    for (const [name, value] of first.parameters()) {
      if (name !== TOKENS) expect(second.parameters().get(name)!.dataSync()).toEqual(value.dataSync());
    }
    for (const model of [first, second]) model.dispose();
  });
});
