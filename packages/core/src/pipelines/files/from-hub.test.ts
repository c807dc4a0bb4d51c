import { cp, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { HubError } from "../../hub/errors.js";
import { COMMIT, FakeHub } from "../../hub/testing/fake-hub.js";
import { loadModel } from "../../models/load-model.js";
import type { Model } from "../../models/model.js";
import type { UNet2DModel } from "../../models/unet/unet-2d.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../../testing/backend.js";
import { fixturePath } from "../../testing/fixture.js";
import {
  writeTinySingleFile,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../../testing/stable-diffusion.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { writeTinyUnCLIP } from "../../testing/unclip.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import { StableDiffusionXLPipeline } from "../stable-diffusion/stable-diffusion-xl.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";
import { UnCLIPImageVariationPipeline } from "../unclip/unclip-image-variation.js";

/** Other files in a repository of the hub, none of which may be downloaded. */
const DECOYS = {
  "README.md": "# A model",
  "sd.safetensors": "a single file of the same",
  "sd.ckpt": "a pickle",
  "unet/diffusion_pytorch_model.bin": "a pickle",
  "unet/diffusion_pytorch_model.other.safetensors": "another variant",
  "unet/openvino_model.xml": "another framework's",
  "safety_checker/config.json": "{}",
  "safety_checker/model.safetensors": "what is not used here",
  "vae_1_0/config.json": "{}",
  "vae_1_0/diffusion_pytorch_model.safetensors": "another autoencoder",
};

let tiny: string;
let home: string;
let hub: FakeHub;
const environment = { ...process.env };

beforeAll(async () => {
  await useTestBackend();
  tiny = await mkdtemp(join(tmpdir(), "tiny-"));
  await writeTinyStableDiffusion(join(tiny, "sd"));
  await writeTinyStableDiffusionXL(join(tiny, "xl"));
  await writeTinyUnCLIP(join(tiny, "variation"), "variation");
  const pixels = new PixelDiffusionPipeline(tinyTextToImage());
  await pixels.savePretrained(join(tiny, "pixels"));
  pixels.dispose();
});
afterAll(() => rm(tiny, { recursive: true }));
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "hub-"));
  process.env = { ...environment, HF_HOME: home, HF_TOKEN: "hf_environment" };
});
afterEach(async () => {
  await hub.stop();
  process.env = { ...environment };
  await rm(home, { recursive: true });
});

/** A hub where owner/name holds the files of this folder, and others. */
async function serve(folder: string, others: Record<string, string> = DECOYS): Promise<void> {
  const files: Record<string, string | Uint8Array> = { ...others };
  for (const path of await readdir(folder, { recursive: true }))
    if ((await stat(join(folder, path))).isFile()) files[path] = await readFile(join(folder, path));
  hub = await FakeHub.start(files);
  process.env.HF_ENDPOINT = hub.endpoint;
}

/** The requested files, without configs and vocabularies. */
function weights(): string[] {
  const paths = hub.heard.map(({ path }) => path).filter((path) => !path.startsWith("/api/"));
  return paths
    .map((path) => path.split("/").slice(5).join("/"))
    .filter((path) => !/\.(json|txt)$/.test(path))
    .sort();
}

async function expectSameWeights(model: Model, part: string): Promise<void> {
  const local = await loadModel(join(tiny, part));
  for (const [name, parameter] of model.namedParameters())
    expect(await parameter.value.data()).toEqual(await local.namedParameters().get(name)!.value.data());
  local.dispose();
}

describe("A pipeline by its name on the hub", () => {
  it("draws as its folder does for Stable Diffusion, and downloads nothing else of the repository", async () => {
    await serve(join(tiny, "sd"));
    const pipeline = await StableDiffusionPipeline.fromPretrained("owner/name", { onProgress: () => undefined });
    expect(weights()).toEqual([
      "text_encoder/model.safetensors",
      "unet/diffusion_pytorch_model.safetensors",
      "vae/diffusion_pytorch_model.safetensors",
    ]);
    await expectSameWeights(pipeline.parts.unet as UNet2DConditionModel, "sd/unet");
    const { images, latents } = await pipeline.generate({ prompt: "a hat", numInferenceSteps: 2 });
    expect(images.shape).toEqual([1, 32, 32, 3]);
    tf.dispose([images, latents]);
    pipeline.dispose();
  });

  it("uses the variant, the revision and the token that were given", async () => {
    await serve(join(tiny, "sd"));
    const options = { variant: "fp16", revision: "v1.0", token: "hf_given" };
    const pipeline = await StableDiffusionPipeline.fromPretrained("owner/name", options);
    expect(weights()).toEqual([
      "text_encoder/model.fp16.safetensors",
      "unet/diffusion_pytorch_model.fp16.safetensors",
      "vae/diffusion_pytorch_model.fp16.safetensors",
    ]);
    expect(hub.heard[0]!.path).toBe("/api/models/owner/name/revision/v1.0");
    expect(new Set(hub.heard.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer hf_given"]));
    expect(await readFile(join(home, "hub/models--owner--name/refs/v1.0"), "utf8")).toBe(COMMIT);
    pipeline.dispose();
  });

  it("opens Stable Diffusion XL with both text encoders", async () => {
    await serve(join(tiny, "xl"));
    const pipeline = await StableDiffusionXLPipeline.fromPretrained("owner/name");
    expect(weights()).toEqual([
      "text_encoder/model.safetensors",
      "text_encoder_2/model.safetensors",
      "unet/diffusion_pytorch_model.safetensors",
      "vae/diffusion_pytorch_model.safetensors",
    ]);
    await expectSameWeights(pipeline.parts.textEncoder2, "xl/text_encoder_2");
    pipeline.dispose();
  });

  it("opens a pipeline in pixel space, with its vocabulary", async () => {
    await serve(join(tiny, "pixels"));
    const pipeline = await PixelDiffusionPipeline.fromPretrained("owner/name");
    await expectSameWeights(pipeline.parts.unet as UNet2DConditionModel, "pixels/unet");
    expect(weights().some((path) => path.startsWith("vae"))).toBe(false);
    pipeline.dispose();
  });

  it("opens unCLIP with all its networks and its image processor", async () => {
    await serve(join(tiny, "variation"));
    const pipeline = await UnCLIPImageVariationPipeline.fromPretrained("owner/name");
    expect(weights()).toEqual([
      "decoder/diffusion_pytorch_model.safetensors",
      "image_encoder/model.safetensors",
      "super_res_first/diffusion_pytorch_model.safetensors",
      "super_res_last/diffusion_pytorch_model.safetensors",
      "text_encoder/model.safetensors",
      "text_proj/diffusion_pytorch_model.safetensors",
    ]);
    await expectSameWeights(pipeline.parts.superResLast as UNet2DModel, "variation/super_res_last");
    expect(pipeline.parts.featureExtractor.outputSize).toEqual([28, 28]);
    pipeline.dispose();
  });

  it("is not requested if there is a folder of that name", async () => {
    await serve(join(tiny, "sd"));
    const before = process.cwd();
    process.chdir(await mkdtemp(join(tmpdir(), "here-")));
    try {
      await cp(join(tiny, "sd"), "owner/name", { recursive: true });
      (await StableDiffusionPipeline.fromPretrained("owner/name")).dispose();
      expect(hub.heard).toEqual([]);
    } finally {
      await rm(process.cwd(), { recursive: true });
      process.chdir(before);
    }
  });

  it("leaves no tensor if the download of a part fails", async () => {
    const numTensors = tf.memory().numTensors;
    await serve(join(tiny, "sd"));
    hub.misbehave = (_, response, { path }) => {
      if (!path.endsWith("unet/config.json")) return false;
      response.writeHead(403).end();
      return true;
    };
    await expect(StableDiffusionPipeline.fromPretrained("owner/name")).rejects.toThrow(HubError);
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it("throws a HubError with the address and what to do, if it is not a pipeline", async () => {
    await serve(fixturePath("lora/peft"), {});
    await expect(StableDiffusionPipeline.fromPretrained("owner/name")).rejects.toThrow(
      /owner\/name\/tree\/main is not a model .* give \{ files: \["pytorch_lora_weights.safetensors"\] \}/,
    );
    await expect(StableDiffusionPipeline.fromPretrained("owner/other")).rejects.toThrow(HubError);
  });
});

describe("The configs and the vocabulary for a single file, by a name on the hub", () => {
  it("are downloaded without any weights", async () => {
    await serve(join(tiny, "sd"));
    const file = await writeTinySingleFile(tiny);
    const pipeline = await StableDiffusionPipeline.fromPretrained(file, { config: "owner/name" });
    expect(weights()).toEqual([]);
    expect(pipeline.parts.tokenizer.encode("a hat")).toHaveLength(77);
    pipeline.dispose();
  });

  it("can be the tokenizer alone", async () => {
    await serve(join(tiny, "sd"));
    const tokenizer = await CLIPTokenizer.fromFolder("owner/name", { subfolder: "tokenizer" });
    const local = await CLIPTokenizer.fromFolder(join(tiny, "sd/tokenizer"));
    expect(tokenizer.encode("a red hat")).toEqual(local.encode("a red hat"));
    const folder = join(home, "hub/models--owner--name/snapshots", COMMIT);
    expect((await readdir(folder, { recursive: true })).sort()).toEqual([
      "tokenizer",
      "tokenizer/merges.txt",
      "tokenizer/vocab.json",
    ]);
  });
});
