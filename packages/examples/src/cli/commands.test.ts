import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { decodePng, encodePng, StableDiffusionPipeline, UnCLIPPipeline } from "@tfjs-diffusion/core";
import { pngTexts } from "@tfjs-diffusion/core/image";
import { DDIMPipeline, openPipeline } from "@tfjs-diffusion/core/pipelines";
import { UNet2DModel } from "@tfjs-diffusion/core/models";
import { DDIMScheduler, keyedNoise } from "@tfjs-diffusion/schedulers";
import { loadFixture } from "../../../core/src/testing/fixture.js";
import { inspectCheckpoint } from "@tfjs-diffusion/core/layouts";
import {
  writeTinyControlNet,
  writeTinySingleFile,
  writeTinyStableDiffusion,
  writeTinyStableDiffusionXL,
} from "../../../core/src/testing/stable-diffusion.js";
import { writeTinyUnCLIP } from "../../../core/src/testing/unclip.js";
import { FakeHub } from "../../../core/src/hub/testing/fake-hub.js";
import { packagePath } from "../package-folder.js";
import { samplerNamed } from "./options/samplers.js";
import { runCommand } from "./run-command.js";

const fixture = (path: string) => fileURLToPath(new URL(`../../../core/fixtures/${path}`, import.meta.url));

let folder: string;
let sd: string;
let xl: string;
let singleFile: string;
let controlNet: string;
let out: string;
let said: string[];
let complained: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "commands-"));
  sd = join(folder, "sd");
  xl = join(folder, "xl");
  await writeTinyStableDiffusion(sd);
  await writeTinyStableDiffusionXL(xl);
  singleFile = await writeTinySingleFile(folder);
  controlNet = join(folder, "controlnet");
  await writeTinyControlNet(controlNet);
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  out = await mkdtemp(join(folder, "out-"));
  [said, complained] = [[], []];
  jest.spyOn(console, "log").mockImplementation((text: string) => void said.push(text));
  jest.spyOn(console, "error").mockImplementation((text: string) => void complained.push(text));
  jest.spyOn(process.stderr, "write").mockImplementation(() => true);
});
afterEach(() => void jest.restoreAllMocks());

/** Runs a command on wasm in two steps, into `out`. */
const draw = (...args: string[]) => runCommand([...args, "--steps", "2", "--backend", "wasm", "--out", out]);

async function expectDone(code: Promise<number>): Promise<void> {
  expect({ code: await code, complained }).toEqual({ code: 0, complained: [] });
}

/** The pictures in `out`, with their settings. */
async function pictures(): Promise<
  { name: string; shape: number[]; bytes: number[]; settings: Record<string, unknown> }[]
> {
  const names = (await readdir(out)).sort();
  return Promise.all(
    names.map(async (name) => {
      const png = await readFile(join(out, name));
      const picture = await decodePng(png);
      const result = { name, shape: picture.shape as number[], bytes: [...picture.mul(255).round().dataSync()] };
      picture.dispose();
      return { ...result, settings: JSON.parse(pngTexts(png).parameters!) as Record<string, unknown> };
    }),
  );
}

/** A picture file [height, width] whose values are those of `value`. */
async function writePicture(name: string, height: number, width: number, value: (y: number, x: number) => number) {
  const values = Array.from({ length: height * width }, (_, i) => value(Math.floor(i / width), i % width));
  const picture = tf.tensor3d(values, [height, width, 1]);
  await writeFile(join(folder, name), await encodePng(picture));
  picture.dispose();
  return join(folder, name);
}

describe("diffusion generate", () => {
  it("draws one picture first where nothing is asked for, and then the sheet of examples", async () => {
    await expectDone(runCommand(["--steps", "1", "--count", "1", "--backend", "wasm", "--out", out]));
    expect((await readdir(out)).sort()).toEqual(["examples.png", "first.png"]);
    const drawn = said.filter((line) => line.startsWith("Drew "));
    expect(drawn).toEqual([expect.stringMatching(/^Drew 1 picture .*first\.png$/), expect.stringMatching(/^Drew 6 /)]);
  });

  it("draws with a folder, and writes the settings into the picture's file", async () => {
    await expectDone(draw("generate", sd, "a café, 猫", "--negative", "blurry", "--guidance", "3", "--seed", "5"));
    const [picture] = await pictures();
    expect(picture).toMatchObject({ name: "a-caf.png", shape: [32, 32, 3] });
    expect(picture!.settings).toEqual({
      model: sd,
      prompt: "a café, 猫",
      negative: "blurry",
      steps: 2,
      guidance: 3,
      seed: 5,
      sampler: "PNDMScheduler",
      width: 32,
      height: 32,
      backend: "wasm",
    });
    expect(said.join()).toMatch(/Drew in \d+\.\d s on wasm.*:\n.*a-caf\.png/);
  });

  it("draws what the library draws", async () => {
    await expectDone(draw("generate", sd, "a hat", "--seed", "3"));
    const pipeline = await StableDiffusionPipeline.fromPretrained(sd);
    const { images, latents } = await pipeline.generate({ prompt: "a hat", seed: 3, numInferenceSteps: 2 });
    expect((await pictures())[0]!.bytes).toEqual([...images.mul(255).round().dataSync()]);
    tf.dispose([images, latents]);
    pipeline.dispose();
  });

  it("visits the requested timesteps or noise levels", async () => {
    const begin = (...args: string[]) => runCommand(["generate", ...args, "--backend", "wasm", "--out", out]);
    await expectDone(begin(sd, "a hat", "--sampler", "euler-discrete", "--timesteps", "900,400"));
    const [drawn] = await pictures();
    expect(drawn!.settings).toMatchObject({ timesteps: [900, 400] });
    expect(drawn!.settings).not.toHaveProperty("steps");
    const pipeline = await StableDiffusionPipeline.fromPretrained(sd);
    const scheduler = samplerNamed("euler-discrete", pipeline.scheduler, { numInferenceSteps: 2 });
    const { images, latents } = await pipeline.generate({ prompt: "a hat", scheduler, timesteps: [900, 400] });
    expect(drawn!.bytes).toEqual([...images.mul(255).round().dataSync()]);
    tf.dispose([images, latents]);
    pipeline.dispose();
    await rm(out, { recursive: true });
    const faces = packagePath("weights", "faces");
    await expectDone(begin(faces, "a man", "--sampler", "euler-discrete", "--sigmas", "20,1,0"));
    expect((await pictures())[0]!.settings).toMatchObject({ sigmas: [20, 1, 0] });
    expect(await begin(sd, "a hat", "--sampler", "euler-discrete", "--timesteps", "400,900")).toBe(2);
    expect(complained.pop()).toMatch(
      /^--sampler euler-discrete with --timesteps 400,900 does not work .*each smaller than the one before/,
    );
  });

  it("draws several pictures of each prompt, each with a seed by which it is drawn again", async () => {
    await expectDone(draw("generate", sd, "a hat", "a cat", "--count", "2", "--seed", "7"));
    const all = await pictures();
    expect(all.map(({ name }) => name)).toEqual(["a-hat-1.png", "a-hat-2.png", "a-hat-3.png", "a-hat-4.png"]);
    expect(all.map(({ settings }) => [settings.prompt, settings.seed])).toEqual([
      ...[
        ["a hat", 7],
        ["a hat", 8],
      ],
      ...[
        ["a cat", 7],
        ["a cat", 8],
      ],
    ]);
    await rm(out, { recursive: true });
    await expectDone(draw("generate", sd, "a cat", "--seed", "8"));
    expect((await pictures())[0]!.bytes).toEqual(all[3]!.bytes);
  });

  it("takes a single file, with the configs and the vocabulary of a folder, and draws as with that folder's fp16", async () => {
    await expectDone(draw("generate", singleFile, "a hat", "--config", sd, "--sampler", "euler-discrete"));
    const [fromFile] = await pictures();
    expect(fromFile!.settings).toMatchObject({ sampler: "EulerDiscreteScheduler", config: sd });
    await expectDone(draw("generate", sd, "a hat", "--variant", "fp16", "--sampler", "euler-discrete"));
    expect((await pictures())[0]!.bytes).toEqual(fromFile!.bytes);
  });

  it("recognises Stable Diffusion XL", async () => {
    await expectDone(draw("generate", xl, "a hat"));
    expect((await pictures())[0]!.settings).toMatchObject({ model: xl, sampler: "EulerDiscreteScheduler" });
  });

  it("opens this library's own models, and refuses options that they do not take", async () => {
    const faces = packagePath("weights", "faces");
    await expectDone(draw("generate", faces, "a bald man", "--guidance", "3"));
    expect((await pictures())[0]).toMatchObject({ shape: [16, 16, 3], settings: { model: faces, guidance: 3 } });
    expect(await draw("generate", faces, "a bald man", "--clip-skip", "1", "--init", "x.png")).toBe(2);
    expect(complained.join()).toMatch(
      /a PixelDiffusionPipeline does not take --clip-skip, --init\. It takes --steps, /,
    );
  });

  it("draws with unCLIP, whose prior and sampler have options, too", async () => {
    const unclip = join(folder, "unclip");
    await writeTinyUnCLIP(unclip, "text");
    await expectDone(draw("generate", unclip, "a hat", "--guidance", "3", "--seed", "5", "--prior-steps", "2"));
    const [picture] = await pictures();
    expect(picture!.settings).toMatchObject({ model: unclip, sampler: "UnCLIPScheduler", guidance: 3 });
    const pipeline = await UnCLIPPipeline.fromPretrained(unclip);
    const steps = { priorNumInferenceSteps: 2, decoderNumInferenceSteps: 2 };
    const { images, latents } = await pipeline.generate({
      prompt: "a hat",
      seed: 5,
      decoderGuidanceScale: 3,
      ...steps,
    });
    expect(picture!.bytes).toEqual([...images.mul(255).round().dataSync()]);
    tf.dispose([images, latents]);
    pipeline.dispose();
    const few = ["--prior-steps", "2", "--super-res-steps", "2"];
    await expectDone(draw("generate", unclip, "a red hat", "--negative", "blue", "--sampler", "ddim", ...few));
    expect((await pictures())[1]!.settings).toMatchObject({
      sampler: "DDIMScheduler",
      negative: "blue",
      priorSteps: 2,
    });
    expect(await draw("generate", unclip, "a hat", "--rescale", "0.5", "--lora", fixture("lora/peft"))).toBe(2);
    expect(complained.pop()).toMatch(/a UnCLIPPipeline does not take --rescale\./);
  });

  it("varies a picture", async () => {
    const variation = join(folder, "variation");
    await writeTinyUnCLIP(variation, "variation");
    const picture = await writePicture("varied.png", 20, 30, (y) => y / 20);
    await expectDone(draw("generate", variation, "--init", picture));
    expect((await pictures())[0]).toMatchObject({ name: "variation.png", settings: { image: picture, steps: 2 } });
    expect(await draw("generate", variation)).toBe(2);
    expect(complained.pop()).toMatch(/this model draws from a picture: add --init FILE\.png/);
    expect(await draw("generate", variation, "a hat", "--init", picture)).toBe(2);
    expect(complained.pop()).toMatch(/a UnCLIPImageVariationPipeline reads no prompt; leave "a hat" out/);
  });

  describe("with a folder that has no text encoder", () => {
    let unconditional: string;
    let classes: string;
    beforeAll(async () => {
      [unconditional, classes] = [join(folder, "ddpm"), join(folder, "classes")];
      const unet = await loadFixture<UNet2DModel>("unet2d_ddpm_cifar");
      const ofClasses = new UNet2DModel({ ...unet.config, num_class_embeds: 5 });
      ofClasses.initialize(keyedNoise(0));
      const pipelines = { [unconditional]: unet, [classes]: ofClasses };
      for (const [path, unet] of Object.entries(pipelines)) {
        const pipeline = new DDIMPipeline({ unet, scheduler: new DDIMScheduler() });
        await pipeline.savePretrained(path);
        pipeline.dispose();
      }
    });

    it("draws from noise alone what the library draws", async () => {
      await expectDone(draw("generate", unconditional, "--seed", "3", "--count", "2"));
      const drawn = await pictures();
      expect(drawn.map(({ name, settings }) => [name, settings.seed])).toEqual([
        ["ddpm-1.png", 3],
        ["ddpm-2.png", 4],
      ]);
      expect(drawn[0]!.settings).not.toHaveProperty("prompt");
      const pipeline = (await openPipeline(unconditional)) as DDIMPipeline;
      const { images, latents } = await pipeline.generate({ seed: 4, numInferenceSteps: 2 });
      expect(drawn[1]!.bytes).toEqual([...images.mul(255).round().dataSync()]);
      tf.dispose([images, latents]);
      pipeline.dispose();
    });

    it("takes the number of steps of its kind unless one is given", async () => {
      await expectDone(runCommand(["generate", unconditional, "--backend", "wasm", "--out", out]));
      expect((await pictures())[0]!.settings).toMatchObject({ steps: 50, sampler: "DDIMScheduler" });
    });

    it("draws each class that is asked for, and the same class again", async () => {
      await expectDone(draw("generate", classes, "--class", "4,1", "--seed", "6"));
      const [four, one] = await pictures();
      expect(four!.settings).toMatchObject({ class: [4], seed: 6 });
      expect(one!.bytes).not.toEqual(four!.bytes);
      await rm(out, { recursive: true });
      await expectDone(draw("generate", classes, "--class", "1", "--seed", "6"));
      expect((await pictures())[0]!.bytes).toEqual(one!.bytes);
    });

    it.each<[string, number, RegExp]>([
      ["ddpm|a hat", 2, /a DDIMPipeline reads no prompt; leave "a hat" out/],
      ["ddpm|--negative|blue", 2, /a DDIMPipeline does not take --negative\. It takes --steps, /],
      ["ddpm|--clip-skip|1|--init|x.png", 2, /does not take --clip-skip, --init\./],
      ["ddpm|--lora|sepia", 2, /a DDIMPipeline does not take --lora/],
      ["ddpm|--class|1", 1, /^--class: \[1\]; this network was trained without classes; leave it out/],
      ["classes", 2, /this model draws from a class: add --class N/],
      ["classes|--class|5", 1, /^--class: \[5\]; expected whole numbers from 0 to 4/],
      ["classes|--class|1|--guidance|3", 1, /^--guidance: 3; .* Give it as --null-class, or a scale of 1/],
    ])("refuses what does not fit it: %s", async (words, code, message) => {
      const [name, ...options] = words.split("|") as [string, ...string[]];
      const before = tf.memory().numTensors;
      expect(await draw("generate", join(folder, name), ...options)).toBe(code);
      expect(complained).toEqual([expect.stringMatching(message)]);
      expect(tf.memory().numTensors).toBe(before);
    });
  });

  it("needs a prompt for a model that reads one, and says so before the weights are read", async () => {
    const bare = join(folder, "no weights");
    await mkdir(bare);
    await cp(join(sd, "model_index.json"), join(bare, "model_index.json"));
    expect(await draw("generate", bare)).toBe(2);
    expect(complained.pop()).toMatch(/a StableDiffusionPipeline draws from a prompt; write one after the model/);
    expect(await draw("generate", bare, "a hat", "--prior-steps", "3")).toBe(2);
    expect(complained.pop()).toMatch(/a StableDiffusionPipeline does not take --prior-steps\./);
  });

  it("draws pixels of any size, also odd ones", async () => {
    const faces = packagePath("weights", "faces");
    await expectDone(draw("generate", faces, "a bald man", "--width", "7", "--height", "1"));
    expect((await pictures())[0]!.shape).toEqual([1, 7, 3]);
  });

  it("draws with the portraits over a picture, and keeps what is outside the mask", async () => {
    const picture = await writePicture("picture.png", 32, 32, (y, x) => (y * 32 + x) / 1023);
    const mask = await writePicture("top.png", 32, 32, (y) => Number(y < 12));
    const sheet = join(out, "sheet.png");
    const over = ["--model", "portraits", "--init", picture, "--mask", mask, "--count", "1"];
    await expectDone(runCommand(["a red hat", ...over, "--steps", "2", "--backend", "wasm", "--out", sheet]));
    const [drawn, given] = await Promise.all([sheet, picture].map(async (path) => decodePng(await readFile(path))));
    // Eight pixels of the file for one of the picture; alone it has no frame.
    const bottom = (x: tf.Tensor3D) =>
      tf.tidy(() => [...tf.image.resizeNearestNeighbor(x, [32, 32]).slice([12, 0]).mul(255).round().dataSync()]);
    expect(drawn!.shape).toEqual([256, 256, 3]);
    expect(bottom(drawn!)).toEqual(bottom(given!));

    const again = join(out, "again.png");
    const overDrawn = ["--init", sheet, "--mask", mask, "--count", "1", "--steps", "2", "--backend", "wasm"];
    await expectDone(runCommand(["a blue hat", ...overDrawn, "--out", again]));
    const drawnAgain = await decodePng(await readFile(again));
    expect(bottom(drawnAgain)).toEqual(bottom(given!));
    tf.dispose([drawn!, given!, drawnAgain]);
  });

  it("draws with every sampler that --help names", async () => {
    const help = await runCommand(["generate", "--help"]).then(() => said.join());
    const [, list] = /--sampler NAME [^:]*: (.*?)\n {2}--/s.exec(help)!;
    const names = list!.split(/,\s+/);
    expect(names).toContain("lcm");
    for (const sampler of names) {
      const code = await runCommand([
        "generate",
        sd,
        sampler,
        "--steps",
        "4",
        "--guidance",
        "0",
        "--sampler",
        sampler,
        "--backend",
        "wasm",
        "--out",
        out,
      ]);
      // Some need more or other steps than 4, and say so.
      if (code !== 0)
        expect([code, complained.pop()]).toEqual([2, expect.stringMatching(/--sampler .* does not work/)]);
    }
    expect((await readdir(out)).length).toBeGreaterThan(names.length - 3);
  }, 180_000);

  it("mixes LoRAs in, teaches words and follows a ControlNet", async () => {
    const edges = await writePicture("edges.png", 40, 24, (y) => y % 2);
    const lora = fixture("lora/peft/pytorch_lora_weights.safetensors");
    const control = ["--controlnet", controlNet, "--control-image", edges, "--control-scale", "0.5"];
    const word = fixture("textual_inversion/learned_embeds.safetensors");
    const size = ["--width", "32", "--height", "32"];
    const drawn: number[][] = [];
    for (const options of [[], ["--lora", lora], ["--lora", `${lora}:0.5`, "--lora", `${lora}:-0.5`], control]) {
      await rm(out, { recursive: true });
      await expectDone(draw("generate", sd, "a hat", ...options, ...size));
      drawn.push((await pictures())[0]!.bytes);
    }
    expect(drawn[1]).not.toEqual(drawn[0]);
    expect(drawn[2]).toEqual(drawn[0]);
    expect(drawn[3]).not.toEqual(drawn[0]);
    expect((await pictures())[0]!.settings).toMatchObject({ control: { image: edges, scale: 0.5 } });
    const photo = await writePicture("photo.png", 20, 30, (y, x) => y + x);
    const adapter = ["--ip-adapter", fixture("tiny-ip-adapter/base.safetensors"), "--ip-image", photo];
    const encoder = ["--ip-encoder", fixture("clip_vision_proj"), "--ip-scale", "0.8"];
    await rm(out, { recursive: true });
    await expectDone(draw("generate", sd, "a hat", ...adapter, ...encoder, ...size));
    const [prompted] = await pictures();
    expect(prompted!.bytes).not.toEqual(drawn[0]);
    expect(prompted!.settings).toMatchObject({ ipAdapter: { image: photo, scale: 0.8 } });
    expect(await draw("generate", sd, "a hat", ...adapter)).toBe(2);
    expect(complained.pop()).toMatch(/--ip-adapter .*no folder image_encoder beside it.*--ip-encoder FOLDER/);
    const t2i = ["--adapter", fixture("tiny-t2i-adapter"), "--adapter-image", edges];
    await rm(out, { recursive: true });
    await expectDone(draw("generate", sd, "a hat", ...t2i, ...size));
    expect((await pictures())[0]!.bytes).not.toEqual(drawn[0]);
    expect(await draw("generate", sd, "a hat", "--adapter", controlNet, "--adapter-image", edges)).toBe(2);
    expect(complained.pop()).toMatch(/--adapter .*: this is a ControlNetModel, not a T2IAdapter/);
    expect(await draw("generate", sd, "a hat", "--textual-inversion", `${word}:hat</w>`)).toBe(2);
    expect(complained.pop()).toMatch(/--textual-inversion .*hat<\/w>.*in the vocabulary already/);
  });

  it("reads the syntax of prompts, and finds the LoRAs that they name in a folder", async () => {
    const loras = join(folder, "loras");
    await mkdir(loras, { recursive: true });
    await cp(fixture("lora/peft/pytorch_lora_weights.safetensors"), join(loras, "faces.safetensors"));
    const size = ["--width", "32", "--height", "32"];
    const read = ["--prompt-weights", "--lora-folder", loras];
    const drawn: number[][] = [];
    for (const [prompt, ...options] of [
      ["a hat <lora:faces:0.5>", ...read],
      ["a hat", "--lora", `${join(loras, "faces.safetensors")}:0.5`],
    ]) {
      await rm(out, { recursive: true });
      await expectDone(draw("generate", sd, prompt!, ...options, ...size));
      drawn.push((await pictures())[0]!.bytes);
      if (options[0] === "--prompt-weights")
        expect((await pictures())[0]!.settings).toMatchObject({ promptWeights: true, loraFolder: loras });
    }
    expect(drawn[0]).toEqual(drawn[1]);
    expect(await draw("generate", sd, "a <lora:hats>", ...read)).toBe(1);
    expect(await draw("generate", sd, "a <lora:faces>", "--prompt-weights")).toBe(1);
    expect(complained.join("\n")).toMatch(/hats\.safetensors.*names the LoRA faces/s);
  });

  it("takes a name on the hub, and says in a line why it cannot", async () => {
    const files: Record<string, Buffer> = {};
    for (const path of await readdir(sd, { recursive: true }))
      if ((await stat(join(sd, path))).isFile()) files[path] = await readFile(join(sd, path));
    const hub = await FakeHub.start(files);
    const environment = { ...process.env };
    process.env = { ...environment, HF_HOME: join(folder, "home"), HF_ENDPOINT: hub.endpoint, HF_TOKEN: "hf_secret" };
    try {
      await expectDone(draw("generate", "owner/name", "a hat", "--variant", "fp16", "--revision", "v2"));
      expect((await pictures())[0]!.settings).toMatchObject({ model: "owner/name", variant: "fp16", revision: "v2" });
      expect(await draw("generate", "owner/other", "a hat")).toBe(1);
      expect(complained).toEqual([expect.stringMatching(/^http:.*owner\/other.*HF_TOKEN/)]);
      expect(complained[0]).not.toMatch(/\n|hf_secret/);
    } finally {
      process.env = environment;
      await hub.stop();
    }
  });

  it("stopped by Ctrl-C ends with 130, and without a tensor left", async () => {
    await draw("generate", sd, "a hat");
    const before = tf.memory().numTensors;
    const press = setInterval(() => process.emit("SIGINT"), 100);
    const args = ["generate", sd, "a hat", "--steps", "900", "--backend", "wasm", "--out", out];
    expect(await runCommand(args)).toBe(130);
    clearInterval(press);
    expect(process.listenerCount("SIGINT")).toBe(0);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("begins with a picture, scaled to the requested size", async () => {
    const begin = await writePicture("begin.png", 21, 20, (y) => y / 21);
    const options = ["--init", begin, "--width", "32", "--height", "16", "--strength"];
    await expectDone(draw("generate", sd, "a hat", ...options, "1"));
    const [all] = await pictures();
    expect(all!.shape).toEqual([16, 32, 3]);
    await expectDone(draw("generate", sd, "a hat", ...options, "0.5"));
    expect((await pictures())[0]!.bytes).not.toEqual(all!.bytes);
    expect(await draw("generate", sd, "a hat", "--init", begin)).toBe(1);
    expect(complained[0]).toMatch(/^--height: 21; expected a multiple of 4 pixels; cut or resize the picture/);
  });
});

describe("diffusion edit", () => {
  it("scales a picture to the size that the portraits draw, unless another is asked for", async () => {
    const large = await writePicture("large.png", 96, 128, (y, x) => (y + x) / 222);
    const shapes = async () => (await pictures()).map(({ shape }) => shape);
    await expectDone(draw("edit", "portraits", large, "a man"));
    expect(await shapes()).toEqual([[32, 44, 3]]);
    const asked = ["--width", "48", "--height", "32"];
    await expectDone(draw("edit", packagePath("weights", "portraits"), large, "a man", ...asked));
    expect(await shapes()).toEqual([[32, 48, 3]]);
  });

  it("redraws a picture where a mask is white, and nowhere else", async () => {
    const picture = await writePicture("picture.png", 32, 32, (y, x) => (y + x) / 64);
    const mask = await writePicture("mask.png", 32, 32, (y) => (y < 16 ? 1 : 0));
    await expectDone(draw("edit", sd, picture, "a hat", "--mask", mask, "--mask-blur", "2"));
    const given = await decodePng(await readFile(picture));
    const before = [...given.mul(255).round().dataSync()];
    given.dispose();
    const [edited] = await pictures();
    expect(edited!.bytes.slice(edited!.bytes.length / 2)).toEqual(before.slice(before.length / 2));
    expect(edited!.bytes).not.toEqual(before);
    expect(edited!.settings).toMatchObject({ image: picture, mask, maskBlur: 2, paste: true });
  });

  it("redraws an enlarged part of a picture of another size, and puts it back", async () => {
    const picture = await writePicture("wide.png", 50, 70, (y, x) => (y + x) / 120);
    const mask = await writePicture("spot.png", 50, 70, (y, x) => (y < 12 && x > 50 ? 1 : 0));
    await expectDone(draw("edit", sd, picture, "a hat", "--mask", mask, "--padding-mask-crop", "4", "--width", "32"));
    const given = await decodePng(await readFile(picture));
    const before = [...given.mul(255).round().dataSync()];
    given.dispose();
    const [edited] = await pictures();
    expect(edited!.shape).toEqual([50, 70, 3]);
    expect(edited!.bytes.slice(12 * 70 * 3)).toEqual(before.slice(12 * 70 * 3));
    expect(edited!.bytes).not.toEqual(before);
    expect(edited!.settings).toMatchObject({ mask, paddingMaskCrop: 4, paste: true });
  });

  it("redraws a whole picture", async () => {
    const picture = await writePicture("picture.png", 32, 32, (y, x) => (y + x) / 64);
    await expectDone(draw("edit", sd, picture, "a hat", "--strength", "0.5"));
    expect((await pictures())[0]!.settings).toMatchObject({ strength: 0.5, image: picture });
  });

  it("grows a picture beyond its borders, and keeps the picture", async () => {
    const picture = await writePicture("picture.png", 32, 32, () => 0.5);
    await expectDone(draw("edit", sd, picture, "a hat", "--outpaint", "0,16,8,0"));
    const [grown] = await pictures();
    expect(grown!.shape).toEqual([40, 48, 3]);
    expect(grown!.bytes.slice(0, 32 * 3)).toEqual(Array(32 * 3).fill(128));
    expect(grown!.bytes.slice(32 * 3, 48 * 3)).not.toEqual(Array(16 * 3).fill(128));
  });

  it("uses a network that was made for masks", async () => {
    const nine = join(folder, "nine");
    await cp(sd, nine, { recursive: true });
    await rm(join(nine, "unet"), { recursive: true });
    await mkdir(join(nine, "unet"));
    for (const file of ["config.json", "diffusion_pytorch_model.safetensors"])
      await cp(fixture(`tiny-sd-unet-inpaint9/${file}`), join(nine, "unet", file));
    const picture = await writePicture("picture.png", 32, 32, (y, x) => (y + x) / 64);
    await expectDone(draw("edit", nine, picture, "a hat", "--outpaint", "8"));
    expect((await pictures())[0]!.shape).toEqual([48, 48, 3]);
    expect(await draw("generate", nine, "a hat")).toBe(1);
  });
});

describe("diffusion convert", () => {
  it("makes a folder of a single file, and a file of that, with the same numbers", async () => {
    const [copy, file] = [join(out, "copy"), join(out, "copy.safetensors")];
    await expectDone(runCommand(["convert", singleFile, copy, "--config", sd, "--tokenizer", join(sd, "tokenizer")]));
    await expectDone(runCommand(["convert", copy, file]));
    const totals = async (path: string) =>
      (await inspectCheckpoint(path)).parts
        .filter(({ name }) => /^(unet|vae|text_encoder)$/.test(name))
        // Beside the numbers a published text encoder counts its positions.
        .map(({ name, dtypes }) => [name, dtypes.F16]);
    expect(await totals(file)).toEqual(await totals(singleFile));
    expect(await totals(file)).toHaveLength(3);
    await expectDone(draw("generate", copy, "a hat"));
  });

  it("makes half precision and shards of a folder", async () => {
    const half = join(out, "half");
    const options = ["--dtype", "fp16", "--shard", "200KB", "--save-variant", "fp16"];
    await expectDone(runCommand(["convert", sd, half, ...options]));
    const unet = await readdir(join(half, "unet"));
    expect(unet).toEqual(
      expect.arrayContaining([
        "diffusion_pytorch_model.fp16-00001-of-00003.safetensors",
        "diffusion_pytorch_model.safetensors.index.fp16.json",
      ]),
    );
    const parts = (await inspectCheckpoint(half)).parts;
    expect(parts.every(({ dtypes }) => Object.keys(dtypes).join() === "F16")).toBe(true);
    await rm(join(sd, "x.png"), { force: true });
    await expectDone(draw("generate", half, "a hat", "--variant", "fp16"));
  });

  it("stopped by Ctrl-C ends with 130, and leaves nothing half written", async () => {
    const targets = [join(out, "half"), join(out, "half.safetensors")];
    for (const [from, to, ...options] of [
      [sd, targets[0]!, "--dtype", "fp16"],
      [sd, targets[1]!],
      [singleFile, targets[0]!, "--config", sd],
    ] as [string, string, ...string[]][]) {
      const press = setImmediate(() => process.emit("SIGINT"));
      expect(await runCommand(["convert", from, to, ...options])).toBe(130);
      clearImmediate(press);
      expect(await readdir(out)).toEqual([]);
    }
    expect(process.listenerCount("SIGINT")).toBe(0);
  });

  it("overwrites nothing without --force, and does not convert a file to a file", async () => {
    expect(await runCommand(["convert", singleFile, sd])).toBe(2);
    expect(complained.pop()).toMatch(/already exists\. Choose another path, or overwrite it with --force/);
    expect(await runCommand(["convert", singleFile, join(out, "b.safetensors")])).toBe(2);
    expect(await runCommand(["convert", join(out, "nowhere"), join(out, "c.safetensors")])).toBe(1);
    expect(await runCommand(["convert", sd, join(out, "d.ckpt")])).toBe(2);
    expect(complained.pop()).toMatch(/would be a pickle/);
    await writeFile(join(folder, "model.ckpt"), "PK\x03\x04 data.pkl");
    expect(await runCommand(["convert", join(folder, "model.ckpt"), join(out, "e"), "--config", sd])).toBe(1);
    expect(complained.pop()).toMatch(/pickle.*Convert it to safetensors/);
    expect(await runCommand(["convert", sd, join(folder, "model.ckpt", "inside")])).toBe(1);
    expect(complained.pop()).toMatch(/cannot be written: .*Free space, or give another path\.$/);
    expect(await readdir(out)).toEqual([]);
  });
});

describe("diffusion inspect", () => {
  it("shows the settings of a picture, and describes the models of this repository", async () => {
    await expectDone(draw("generate", sd, "a hat"));
    await expectDone(runCommand(["inspect", join(out, "a-hat.png")]));
    expect(said.at(-1)).toMatch(/"prompt": "a hat",\n/);
    await expectDone(runCommand(["inspect", "portraits"]));
    expect(said.at(-1)).toMatch(/pipeline folder.*\nmade for pictures of 32 x 32/);
    await expectDone(runCommand(["inspect", "faces"]));
    expect(said.at(-1)).toMatch(/made for pictures of 16 x 16/);
    expect(await runCommand(["inspect", "owner/name"])).toBe(2);
    expect(complained.pop()).toMatch(
      /owner\/name: no such file or folder.*https:\/\/huggingface.co\/owner\/name\/resolve/,
    );
    const foreign = await writePicture("foreign.png", 2, 2, () => 0);
    expect(await runCommand(["inspect", foreign])).toBe(1);
    expect(complained).toEqual([expect.stringMatching(/holds no settings/)]);
  });
});

describe("A command", () => {
  it.each(["generate", "edit", "convert", "inspect", "profile"])("%s lists its options", async (name) => {
    await expectDone(runCommand([name, "--help"]));
    expect(said.join()).toMatch(/--help/);
  });

  it.each([
    "generate",
    "edit model",
    "generate model prompt --stepz 3",
    "inspct model",
    "generate model prompt --steps 0",
    "generate model prompt --seed=-1",
    "generate model prompt --sampler magic",
    "generate model prompt --strength 0.5",
    "generate model prompt --rescale 2",
    "generate model prompt --dtype int8",
    "generate model prompt --controlnet x",
    "edit",
    "edit model picture.png prompt --outpaint 1,2",
    "edit model picture.png prompt --outpaint 8 --mask m.png",
    "edit model picture.png prompt --mask-blur 3",
    "edit model picture.png prompt --padding-mask-crop 3",
    "convert one",
    "convert a b --shard big",
    "convert a b --shard 0",
    "convert a b --save-variant ../c",
    "generate model prompt --variant ../c",
    "inspect",
  ])("with wrong arguments ends with 2 and says what was expected: %s", async (words) => {
    expect(await runCommand(words.split(" "))).toBe(2);
    expect(complained.join()).toMatch(/--help/);
  });

  it("with a misspelt name is not drawn as a sentence, and of a misspelt option the nearest is named", async () => {
    await runCommand(["inspct", sd]);
    await runCommand(["generate", sd, "a hat", "--stpes", "3"]);
    expect(complained).toEqual([
      expect.stringMatching(/^inspct: no such command \(nearest: inspect\)\. Put a sentence .*--help/s),
      expect.stringMatching(/^--stpes: no such option \(nearest: --steps\)\.\n.*--help/),
    ]);
  });

  it.each([
    [["/nowhere"], /model_index.json/],
    [[fixture("lora/peft/pytorch_lora_weights.safetensors")], /not a complete checkpoint/],
    [["/nowhere/model.ckpt"], /model.ckpt/],
  ])("that fails ends with 1 and one line: generate %j", async ([model], expected) => {
    expect(await draw("generate", model!, "a hat")).toBe(1);
    expect(complained).toEqual([expect.stringMatching(expected)]);
    expect(complained[0]).not.toContain("\n");
  });

  it("reports a missing LoRA before any work, and names the shipped ones", async () => {
    expect(await draw("generate", "/nowhere", "a hat", "--lora", "sepiaa:0.5")).toBe(2);
    expect(complained.join()).toContain(
      "--lora sepiaa: no such file or folder. Give a path, or a shipped LoRA: few-steps, sepia, zwx.",
    );
  });

  it("says which options are for single files only", async () => {
    expect(await draw("generate", sd, "a hat", "--prediction", "v_prediction")).toBe(2);
    expect(await runCommand(["convert", sd, join(out, "x"), "--ema"])).toBe(2);
    expect(await runCommand(["convert", sd, join(out, "x"), "--without-scheduler"])).toBe(2);
    expect(complained.join()).toMatch(/--prediction is for single .safetensors files only.*--ema is for single/s);
  });

  it("leaves no tensor, whether it ends well or not", async () => {
    await draw("generate", sd, "a hat");
    const before = tf.memory().numTensors;
    await draw("generate", sd, "a hat");
    await draw("generate", sd, "a hat", "--width", "33");
    await draw("generate", sd, "a hat", "--lora", fixture("textual_inversion/learned_embeds.safetensors"));
    const picture = await writePicture("picture.png", 32, 32, () => 0.5);
    await draw("edit", sd, picture, "a hat", "--mask", "/nowhere.png");
    await draw("edit", sd, picture, "a hat", "--outpaint", "8");
    expect(tf.memory().numTensors).toBe(before);
  });
});
