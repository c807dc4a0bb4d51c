import { describe, expect, it } from "@jest/globals";
import type { HubFile } from "./listing.js";
import { type FileSelection, selectFiles } from "./select-files.js";

const file = (path: string): HubFile => ({ path, size: 1, hash: { kind: "git-sha1", hex: "0".repeat(40) } });
const select = (paths: string[], selection: FileSelection = {}) =>
  selectFiles(paths.map(file), selection, "hub/owner/name").map(({ path }) => path);

const UNET = "unet/diffusion_pytorch_model";
/** Like Stable Diffusion 1.5 on the hub. */
const PIPELINE = [
  ".gitattributes",
  "README.md",
  "model_index.json",
  "v1-5-pruned.ckpt",
  "v1-5-pruned.safetensors",
  "feature_extractor/preprocessor_config.json",
  "safety_checker/config.json",
  "safety_checker/model.safetensors",
  "safety_checker/pytorch_model.bin",
  "scheduler/scheduler_config.json",
  "text_encoder/config.json",
  "text_encoder/model.safetensors",
  "text_encoder/pytorch_model.bin",
  "tokenizer/merges.txt",
  "tokenizer/vocab.json",
  "unet/config.json",
  `${UNET}.bin`,
  `${UNET}.fp16.safetensors`,
  `${UNET}.non_ema.safetensors`,
  `${UNET}.safetensors`,
  "unet/onnx/model.safetensors",
];
const SHARDS = [
  "config.json",
  "diffusion_pytorch_model-00001-of-00002.safetensors",
  "diffusion_pytorch_model-00002-of-00002.safetensors",
  "diffusion_pytorch_model.safetensors.index.json",
  "diffusion_pytorch_model.fp16-00001-of-00002.safetensors",
  "diffusion_pytorch_model.fp16-00002-of-00002.safetensors",
  "diffusion_pytorch_model.safetensors.index.fp16.json",
];

describe("The files of a model", () => {
  it("of a pipeline are its configs, vocabularies and one set of safetensors weights for each folder", () => {
    expect(select(PIPELINE).sort()).toEqual([
      "feature_extractor/preprocessor_config.json",
      "model_index.json",
      "safety_checker/config.json",
      "safety_checker/model.safetensors",
      "scheduler/scheduler_config.json",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "tokenizer/merges.txt",
      "tokenizer/vocab.json",
      "unet/config.json",
      `${UNET}.safetensors`,
    ]);
  });

  it("can be those of some folders of a pipeline, in the variant that they have", () => {
    expect(select(PIPELINE, { parts: ["scheduler", "unet", "text_encoder"], variant: "fp16" }).sort()).toEqual([
      "model_index.json",
      "scheduler/scheduler_config.json",
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
      "unet/config.json",
      `${UNET}.fp16.safetensors`,
    ]);
  });

  it("are those of the variant if a folder has it, and otherwise the plain ones", () => {
    const weights = select(PIPELINE, { variant: "fp16", except: ["safety_checker/*"] }).filter((path) =>
      path.endsWith("s"),
    );
    expect(weights).toEqual(["text_encoder/model.safetensors", `${UNET}.fp16.safetensors`]);
  });

  it("are of one folder alone", () => {
    expect(select(PIPELINE, { subfolder: "unet" })).toEqual(["unet/config.json", `${UNET}.safetensors`]);
  });

  it("are shards with their index, of one variant", () => {
    expect(select(SHARDS)).toEqual(SHARDS.slice(0, 4));
    expect(select(SHARDS, { variant: "fp16" })).toEqual([SHARDS[0], ...SHARDS.slice(4)]);
  });

  it("are the single file if there are also shards", () => {
    const whole = "diffusion_pytorch_model.safetensors";
    expect(select([...SHARDS, whole])).toEqual(["config.json", whole]);
  });

  it("are those that match the patterns, without pickles", () => {
    expect(select(PIPELINE, { files: ["text_encoder/*"] })).toEqual([
      "text_encoder/config.json",
      "text_encoder/model.safetensors",
    ]);
    expect(select(PIPELINE, { files: ["*.safetensors"], except: ["*/*"] })).toEqual(["v1-5-pruned.safetensors"]);
    expect(select(PIPELINE, { files: ["v?-5-pruned.*"] })).toEqual(["v1-5-pruned.safetensors"]);
  });

  it.each<[string, string[], FileSelection, RegExp]>([
    ["requested pickles", PIPELINE, { files: ["*.ckpt"] }, /can run any code.*\.safetensors/],
    [
      "patterns without a match",
      PIPELINE,
      { files: ["*.gguf"] },
      /no file that matches \*\.gguf.*v1-5-pruned\.safetensors/,
    ],
    [
      "weights only as pickles",
      ["config.json", "pytorch_model.bin"],
      {},
      /only as pytorch_model\.bin.*Look for a copy/,
    ],
    ["only a variant that is not requested", ["config.json", "model.fp16.safetensors"], {}, /\{ variant: "fp16" \}/],
    ["a single file", ["README.md", "dream.safetensors"], {}, /\{ files: \["dream\.safetensors"\] \}/],
    ["no such folder", PIPELINE, { subfolder: "une" }, /has no folder une/],
    ["nothing", [], {}, /is empty/],
  ])("with %s are refused with advice", (_, paths, selection, expected) => {
    expect(() => select(paths, selection)).toThrow(expected);
  });
});
