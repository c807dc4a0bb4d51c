import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { FakeHub } from "../hub/testing/fake-hub.js";
import { folderToSingleFile } from "../layouts/convert-to-file.js";
import { useTestBackend } from "../testing/backend.js";
import { writeTinyStableDiffusion, writeTinyStableDiffusionXL } from "../testing/stable-diffusion.js";
import { tinyTextToImage } from "../testing/tiny-text-to-image.js";
import { writeTinyUnCLIP } from "../testing/unclip.js";
import { WeightsFormatError } from "../weights/errors.js";
import { encodeSafetensors } from "../weights/write-safetensors.js";
import { PipelineFolderError } from "./options/errors.js";
import { PIPELINE_CLASSES } from "./kinds.js";
import { openPipeline, type OpenPipelineOptions, pipelineClassOf } from "./open-pipeline.js";
import { StableDiffusionXLPipeline } from "./stable-diffusion/stable-diffusion-xl.js";
import { StableDiffusionPipeline } from "./stable-diffusion/stable-diffusion.js";
import { DDIMPipeline, DDPMPipeline } from "./pixels/ddpm.js";
import { PixelDiffusionPipeline } from "./pixels/pixel-diffusion.js";
import { UnCLIPImageVariationPipeline } from "./unclip/unclip-image-variation.js";
import { UnCLIPPipeline } from "./unclip/unclip.js";

let folder: string;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "open "));
  await writeTinyStableDiffusion(join(folder, "sd"));
  await writeTinyStableDiffusionXL(join(folder, "xl"));
  await writeTinyUnCLIP(join(folder, "unclip"), "text");
  await writeTinyUnCLIP(join(folder, "variation"), "variation");
  const pixels = new PixelDiffusionPipeline(tinyTextToImage());
  await pixels.savePretrained(join(folder, "pixels"));
  pixels.dispose();
  for (const name of ["sd", "xl"]) await folderToSingleFile(join(folder, name), join(folder, `${name}.safetensors`));
});
afterAll(() => rm(folder, { recursive: true }));

const open = (name: string, options?: OpenPipelineOptions) => openPipeline(join(folder, name), options);

describe("Opening a model of any kind", () => {
  it.each([
    ["sd", StableDiffusionPipeline],
    ["xl", StableDiffusionXLPipeline],
    ["pixels", PixelDiffusionPipeline],
    ["unclip", UnCLIPPipeline],
    ["variation", UnCLIPImageVariationPipeline],
  ])("recognises the folder %s", async (name, Class) => {
    const pipeline = await open(name);
    expect(pipeline).toBeInstanceOf(Class);
    pipeline.dispose();
  });

  it("knows the kind and its options without the weights, of a folder and of a single file", async () => {
    for (const [name, Class] of [
      ["sd", StableDiffusionPipeline],
      ["variation", UnCLIPImageVariationPipeline],
    ] as const) {
      const bare = join(folder, `index of ${name}`);
      await mkdir(bare);
      await cp(join(folder, name, "model_index.json"), join(bare, "model_index.json"));
      expect(await pipelineClassOf(bare)).toBe(Class);
    }
    const [ddpm, ddim] = [join(folder, "ddpm"), join(folder, "ddim")];
    for (const [path, name] of [
      [ddpm, "DDPMPipeline"],
      [ddim, "DDIMPipeline"],
    ] as const) {
      await mkdir(path);
      const index = {
        _class_name: name,
        unet: ["diffusers", "UNet2DModel"],
        scheduler: ["diffusers", "DDPMScheduler"],
      };
      await writeFile(join(path, "model_index.json"), JSON.stringify(index));
    }
    expect(await pipelineClassOf(ddpm)).toBe(DDPMPipeline);
    expect(await pipelineClassOf(ddim)).toBe(DDIMPipeline);
    expect(await pipelineClassOf(join(folder, "sd.safetensors"))).toBe(StableDiffusionPipeline);
    expect(await pipelineClassOf(join(folder, "xl.safetensors"))).toBe(StableDiffusionXLPipeline);
    for (const name of ["sd", "xl", "pixels", "unclip", "variation"]) {
      const pipeline = await open(name);
      const Class = PIPELINE_CLASSES.find((Class) => pipeline.constructor === Class);
      expect(Class!.options).toBe(pipeline.options);
      pipeline.dispose();
    }
  });

  it("recognises a single file, and takes the vocabulary from a folder, with each text encoder's padding", async () => {
    const sd = (await open("sd.safetensors", { config: join(folder, "sd") })) as StableDiffusionPipeline;
    expect(sd).toBeInstanceOf(StableDiffusionPipeline);
    sd.dispose();
    const vocabulary = { config: join(folder, "xl"), tokenizer: join(folder, "xl/tokenizer") };
    const xl = (await open("xl.safetensors", vocabulary)) as StableDiffusionXLPipeline;
    expect(xl).toBeInstanceOf(StableDiffusionXLPipeline);
    expect([xl.parts.tokenizer!.padToken, xl.parts.tokenizer2.padToken]).toEqual(["<|endoftext|>", "!"]);
    xl.dispose();
  });

  it("downloads CLIP's vocabulary if none is given, and the index of a hub's model before its weights", async () => {
    const hub = await FakeHub.start({
      "model_index.json": '{"_class_name": "Flux", "transformer": ["diffusers", "X"]}',
    });
    const environment = { ...process.env };
    process.env = { ...environment, HF_HOME: join(folder, "home"), HF_ENDPOINT: hub.endpoint };
    try {
      await expect(open("sd.safetensors")).rejects.toThrow("/openai/clip-vit-large-patch14/");
      hub.heard.length = 0;
      await expect(openPipeline("owner/name")).rejects.toThrow(/is of a Flux, which cannot be opened/);
      expect(hub.heard.filter(({ path }) => !path.startsWith("/api/")).map(({ path }) => path)).toEqual([
        expect.stringContaining("/model_index.json"),
      ]);
    } finally {
      process.env = environment;
      await hub.stop();
    }
  });

  it.each([
    ["FluxPipeline", { transformer: "FluxTransformer2DModel", vae: "AutoencoderKL", scheduler: "X", tokenizer: "X" }],
    ["KandinskyPipeline", { unet: "UNet2DConditionModel", movq: "VQModel", scheduler: "DDPMScheduler" }],
    [
      "StableVideoDiffusionPipeline",
      { unet: "X", vae: "X", image_encoder: "X", scheduler: "X", feature_extractor: "X" },
    ],
    [
      "AnimateDiffPipeline",
      { unet: "X", vae: "X", text_encoder: "X", tokenizer: "X", scheduler: "X", motion_adapter: "X" },
    ],
  ])("names a %s and what it has that no pipeline here takes", async (name, classes) => {
    const path = join(folder, name);
    await mkdir(path);
    const parts = Object.entries(classes).map(([part, className]) => [part, ["diffusers", className]]);
    await writeFile(
      join(path, "model_index.json"),
      JSON.stringify({ _class_name: name, ...Object.fromEntries(parts) }),
    );
    const refusal = open(name);
    await expect(refusal).rejects.toBeInstanceOf(PipelineFolderError);
    await expect(refusal).rejects.toThrow(`is of a ${name}, which cannot be opened. Nearest is `);
    await expect(refusal).rejects.toThrow("openPipeline opens StableDiffusionPipeline, ");
  });

  it("says what is missing in a folder of a kind that it knows", async () => {
    const path = join(folder, "no unet");
    await mkdir(path);
    await writeFile(
      join(path, "model_index.json"),
      '{"_class_name":"StableDiffusionPipeline","vae":["diffusers","AutoencoderKL"]}',
    );
    await expect(open("no unet")).rejects.toThrow("unet is missing in model_index.json");
  });

  it("recognises every kind by one set of parts only, but DDIM and InstructPix2Pix by their names", () => {
    const sets = PIPELINE_CLASSES.map(({ folder }) => Object.keys(folder.parts).sort().join());
    expect(new Set(sets).size).toBe(PIPELINE_CLASSES.length - 2);
  });

  it("refuses a folder or file that is not a pipeline, and says what it is", async () => {
    const bias = { dtype: "F32", shape: [1], data: new Float32Array(1) } as const;
    const lone = await encodeSafetensors(new Map([["down_blocks.0.bias", bias]]));
    await expect(openPipeline(lone)).rejects.toThrow(WeightsFormatError);
    await mkdir(join(folder, "empty"));
    await expect(open("empty")).rejects.toThrow(PipelineFolderError);
    await writeFile(join(folder, "empty/model_index.json"), "[]");
    await expect(open("empty")).rejects.toThrow("model_index.json is not a JSON object");
    await writeFile(join(folder, "pickle.ckpt"), "\x80\x02}q");
    await expect(open("pickle.ckpt")).rejects.toThrow(/pickle/);
    for (const Pipeline of [StableDiffusionPipeline, StableDiffusionXLPipeline])
      await expect(Pipeline.fromPretrained(join(folder, "pickle.ckpt"))).rejects.toThrow(/pickle/);
  });
});
