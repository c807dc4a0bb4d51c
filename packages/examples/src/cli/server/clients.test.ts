/** The server as a program, with the portraits on WebAssembly, asked by the clients that people use. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { decodePng, encodePng, openPipeline, type StableDiffusionPipeline, useBackend } from "@tfjs-diffusion/core";
import { EulerDiscreteScheduler } from "@tfjs-diffusion/schedulers";
import sdwebui from "node-sd-webui";
import OpenAI, { BadRequestError, NotFoundError, RateLimitError } from "openai";
import WebSocket from "ws";
import { packagePath } from "../../package-folder.js";
import { ended, type Program, serve } from "../../../bench/programs.js";

const PROMPT = "a smiling woman with a red hat";
const STEPS = 3;

const pixels = async (base64: string) => {
  const picture = await decodePng(Buffer.from(base64, "base64"));
  const { shape } = picture;
  const values = Array.from(await picture.data());
  picture.dispose();
  return { shape, values };
};

let server: Program;
let openai: OpenAI;
beforeAll(async () => {
  server = await serve(["--alias", "dall-e-2=portraits", "--waiting", "6", "--waiting-of-one", "4"]);
  openai = new OpenAI({ baseURL: `${server.at}/v1`, apiKey: "none", maxRetries: 0 });
});
afterAll(async () => {
  await ended(server);
});

const post = (path: string, body: object) =>
  fetch(server.at + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

describe("The client of OpenAI", () => {
  it("lists the models", async () => {
    const { data } = await openai.models.list();
    expect(data.map(({ id }) => id)).toEqual(["portraits"]);
    expect(await openai.models.retrieve("portraits")).toMatchObject({ id: "portraits", object: "model" });
  });

  it("draws pictures, in base64 and by URL", async () => {
    const { data } = await openai.images.generate({ model: "dall-e-2", prompt: PROMPT, n: 2, size: "auto" });
    expect(data).toHaveLength(2);
    for (const { b64_json, url } of data!) {
      const { shape } = await pixels(b64_json!);
      expect(shape).toEqual([32, 32, 3]);
      const fetched = Buffer.from(await (await fetch(url!)).arrayBuffer());
      expect(fetched.toString("base64")).toBe(b64_json);
    }
    expect(data![0]!.b64_json).not.toBe(data![1]!.b64_json);
    const [only] = (await openai.images.generate({ prompt: PROMPT, response_format: "b64_json", quality: "low" }))
      .data!;
    expect(Object.keys(only!)).toEqual(["b64_json"]);
  });

  it("gets partial pictures in a stream, then the picture", async () => {
    const stream = await openai.images.generate({ prompt: PROMPT, stream: true, partial_images: 2 });
    const types: string[] = [];
    for await (const event of stream) {
      types.push(event.type);
      expect((await pixels(event.b64_json)).shape).toEqual([32, 32, 3]);
      if (event.type === "image_generation.partial_image") expect(event.partial_image_index).toBe(types.length - 1);
    }
    expect(types).toEqual([
      "image_generation.partial_image",
      "image_generation.partial_image",
      "image_generation.completed",
    ]);
  });

  it("edits where the mask is transparent, and nowhere else", async () => {
    const [{ b64_json } = {}] = (await openai.images.generate({ prompt: PROMPT, response_format: "b64_json" })).data!;
    const before = await pixels(b64_json!);
    // The right half of the mask is transparent.
    const alpha = tf.tidy(() => tf.concat([tf.ones([32, 16, 1]), tf.zeros([32, 16, 1])], 1));
    const layers = tf.tidy(() => tf.concat([tf.zeros([32, 32, 3]), alpha], 2)) as tf.Tensor3D;
    const mask = await rgbaPng(layers);
    tf.dispose([alpha, layers]);
    const { data } = await openai.images.edit({
      image: file(Buffer.from(b64_json!, "base64"), "image.png"),
      mask: file(mask, "mask.png"),
      prompt: "a bald man with a green shirt",
      response_format: "b64_json",
    });
    const after = await pixels(data![0]!.b64_json!);
    const change = (columns: readonly [number, number]) => {
      let sum = 0;
      for (let row = 0; row < 32; row++)
        for (let i = (row * 32 + columns[0]) * 3; i < (row * 32 + columns[1]) * 3; i++)
          sum += Math.abs(after.values[i]! - before.values[i]!);
      return sum;
    };
    expect(change([0, 16])).toBe(0);
    expect(change([16, 32])).toBeGreaterThan(16 * 32 * 0.05);
  });

  it("draws variations of a picture", async () => {
    const image = file(await readFile(packagePath("..", "core", "fixtures", "png", "rgb8.png")).catch(grey), "a.png");
    const { data } = await openai.images.createVariation({ image, n: 2, size: "32x32" as "256x256" });
    expect(data).toHaveLength(2);
  });

  it("gets its own errors, which name the parameter", async () => {
    const wrong = openai.images.generate({ prompt: PROMPT, size: "1024x1024" });
    await expect(wrong).rejects.toThrow(BadRequestError);
    await expect(wrong).rejects.toMatchObject({ status: 400, param: "size", code: "invalid_value" });
    const unknown = openai.images.generate({ prompt: PROMPT, model: "dall-e-3" });
    await expect(unknown).rejects.toThrow(NotFoundError);
    await expect(unknown).rejects.toMatchObject({ code: "model_not_found" });
    // What the library refuses: the portraits' autoencoder makes 4 x 4 pixels of a latent.
    await expect(openai.images.generate({ prompt: PROMPT, size: "33x32" as "auto" })).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining("multiple"),
    });
  });
});

describe("A client of AUTOMATIC1111's API", () => {
  const client = () => sdwebui({ apiUrl: server.at });

  it("draws exactly what the library draws with that seed and sampler", async () => {
    const { images } = await client().txt2img({
      prompt: PROMPT,
      negativePrompt: "a beard",
      seed: 7,
      samplingMethod: "Euler",
      steps: STEPS,
      cfgScale: 4,
      batchSize: 2,
    });
    await useBackend("wasm");
    const pipeline = (await openPipeline(packagePath("weights", "portraits"))) as StableDiffusionPipeline;
    const scheduler = new EulerDiscreteScheduler(pipeline.scheduler.config as never);
    for (const [i, base64] of images.entries()) {
      const drawn = await pipeline.generate({
        prompt: PROMPT,
        negativePrompt: "a beard",
        numInferenceSteps: STEPS,
        guidanceScale: 4,
        seed: 7 + i,
        scheduler,
      });
      const expected = tf.tidy(() => drawn.images.mul(255).round().div(255));
      expect((await pixels(base64)).values).toEqual(Array.from(await expected.data()));
      tf.dispose([drawn.images, drawn.latents, expected]);
    }
    pipeline.dispose();
  });

  it("draws over a picture, and reads the settings back from the file", async () => {
    const [image] = (await client().txt2img({ prompt: PROMPT, seed: 1, steps: STEPS })).images;
    const { images, info } = await client().img2img({
      imageData: [image!],
      prompt: "a bald man",
      seed: 5,
      steps: 6,
    });
    const { all_seeds, infotexts } = JSON.parse(info) as { all_seeds: number[]; infotexts: string[] };
    expect(all_seeds).toEqual([5]);
    const read = await post("/sdapi/v1/png-info", { image: images[0] });
    expect(await read.json()).toMatchObject({ info: infotexts[0] });
    expect(infotexts[0]).toMatch(
      /^a bald man\nSteps: 6, Sampler: .*, Seed: 5, Size: 32x32, Model: portraits, Denoising/,
    );
  });

  it("repaints a masked part, enlarged, in a picture of another size", async () => {
    const image = await grey(96, 64);
    const borders: [number, number][] = [
      [28, 60],
      [28, 28],
      [0, 0],
    ];
    const mask = await png(tf.tidy(() => tf.ones<tf.Rank.R3>([8, 8, 3]).pad(borders)));
    const answer = await post("/sdapi/v1/img2img", {
      prompt: PROMPT,
      init_images: [image.toString("base64")],
      mask: mask.toString("base64"),
      inpainting_fill: 1,
      inpaint_full_res_padding: 8,
      mask_blur: 0,
      steps: STEPS,
      denoising_strength: 1,
    });
    const { images } = (await answer.json()) as { images: string[] };
    const { shape, values } = await pixels(images[0]!);
    expect(shape).toEqual([96, 64, 3]);
    const changed = values.flatMap((value, i) => (Math.abs(value - 0.5) > 0.01 ? [Math.floor(i / 3)] : []));
    expect(changed.length).toBeGreaterThan(0);
    for (const pixel of changed) {
      const [row, column] = [Math.floor(pixel / 64), pixel % 64];
      expect([row >= 28 && row < 36, column >= 28 && column < 36]).toEqual([true, true]);
    }
  });

  it("sees the progress, and interrupts with the pictures that are finished", async () => {
    const drawing = post("/sdapi/v1/txt2img", { prompt: PROMPT, steps: 30, batch_size: 10 });
    const seen: number[] = [];
    for (;;) {
      const now = await fetch(`${server.at}/sdapi/v1/progress?skip_current_image=true`);
      const { progress, state } = (await now.json()) as { progress: number; state: { job_no: number } };
      seen.push(progress);
      if (state.job_no >= 1) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    await post("/sdapi/v1/interrupt", {});
    const { images } = (await (await drawing).json()) as { images: string[] };
    expect(images.length).toBeGreaterThanOrEqual(1);
    expect(images.length).toBeLessThan(10);
  });

  it("lists models, samplers and schedules, and sets options", async () => {
    const get = async (path: string) => (await fetch(`${server.at}/sdapi/v1/${path}`)).json() as Promise<object[]>;
    expect(await get("sd-models")).toMatchObject([{ title: "portraits", model_name: "portraits" }]);
    expect(await get("samplers")).toContainEqual({ name: "DPM++ 2M", aliases: ["k_dpm++_2m"], options: {} });
    // Their first step would be from a noise level of 20,000: they diverge.
    expect(JSON.stringify(await get("samplers"))).not.toMatch(/"Heun"/);
    expect(await get("schedulers")).toContainEqual(expect.objectContaining({ name: "karras", label: "Karras" }));
    await post("/sdapi/v1/options", { sd_model_checkpoint: "portraits", CLIP_stop_at_last_layers: 2 });
    expect(await get("options")).toMatchObject({ sd_model_checkpoint: "portraits", CLIP_stop_at_last_layers: 2 });
    await post("/sdapi/v1/options", { CLIP_stop_at_last_layers: 1 });
  });
});

describe("The server", () => {
  it("draws live: the newest message wins", async () => {
    const socket = new WebSocket(`${server.at.replace("http", "ws")}/live`);
    await once(socket, "open");
    const ids = new Set<number>();
    const last = new Promise<void>((resolve) =>
      socket.on("message", (data) => {
        const { type, id } = JSON.parse((data as Buffer).toString()) as { type: string; id: number };
        if (type === "picture") ids.add(id);
        if (type === "picture" && id === 19) resolve();
      }),
    );
    for (let id = 0; id < 20; id++) socket.send(JSON.stringify({ id, prompt: PROMPT.slice(0, 11 + id), steps: 30 }));
    await last;
    expect(ids.size).toBeLessThan(20);
    socket.close();
  });

  it("tells clients to come back when its queue is full, and loses nothing", async () => {
    const answers = await Promise.allSettled(
      Array.from({ length: 40 }, (_, i) =>
        openai.images.generate({ prompt: PROMPT, quality: "low", user: `${i % 8}`, response_format: "b64_json" }),
      ),
    );
    const drawn = answers.filter(({ status }) => status === "fulfilled");
    const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as unknown] : []));
    expect(drawn.length).toBeGreaterThanOrEqual(6);
    expect(refused.length).toBeGreaterThan(0);
    for (const error of refused) {
      expect(error).toBeInstanceOf(RateLimitError);
      expect(Number((error as RateLimitError).headers?.get("retry-after"))).toBeGreaterThan(0);
    }
    expect(await (await fetch(`${server.at}/health`)).json()).toMatchObject({ status: "ok", waiting: 0, running: 0 });
  });

  it("counts what it did, and describes itself", async () => {
    const text = await (await fetch(`${server.at}/metrics`)).text();
    expect(text).toMatch(/diffusion_pictures_total\{model="portraits"\} \d+/);
    expect(text).toMatch(/http_requests_total\{route="\/v1\/images\/generations",method="POST",status="429"\} \d+/);
    const { paths } = (await (await fetch(`${server.at}/openapi.json`)).json()) as { paths: object };
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(["/v1/images/edits", "/sdapi/v1/txt2img", "/health"]));
  });

  it("finishes what it draws before it ends, and takes nothing more", async () => {
    const other = await serve();
    const draw = () =>
      fetch(`${other.at}/v1/images/generations`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: PROMPT, quality: "high" }),
      });
    const drawing = draw();
    for (;;) {
      const { running } = (await (await fetch(`${other.at}/health`)).json()) as { running: number };
      if (running === 1) break;
    }
    const exit = once(other.child, "exit");
    other.child.kill("SIGTERM");
    expect((await drawing).status).toBe(200);
    expect((await exit)[0]).toBe(0);
    await expect(draw()).rejects.toThrow();
  });
});

async function grey(height = 32, width = 32): Promise<Buffer> {
  return png(tf.fill([height, width, 3], 0.5));
}

async function png(picture: tf.Tensor3D): Promise<Buffer> {
  const bytes = Buffer.from(await encodePng(picture));
  picture.dispose();
  return bytes;
}

async function rgbaPng(layers: tf.Tensor3D): Promise<Buffer> {
  return Buffer.from(await encodePng(layers));
}

const file = (bytes: Buffer, name: string) => new File([new Uint8Array(bytes)], name, { type: "image/png" });
