import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { schedulerFromConfig, torchNoise } from "@tfjs-diffusion/schedulers";
import { useBackend } from "../backend/use-backend.js";
import { openPipeline } from "../pipelines/open-pipeline.js";
import { PipelineFolderError, PipelineOptionError } from "../pipelines/options/errors.js";
import { bundleScript } from "../testing/bundle-script.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import type { DrawProgress, DrawRequest } from "./pipeline-requests.js";
import { picturesOf } from "./pictures.js";
import { pipelineTasks, type PipelineTasks } from "./pipeline-tasks.js";
import { serveTasks } from "./serve-tasks.js";
import { WorkerClient } from "./worker-client.js";

const SIZE = 32;
const REQUEST: DrawRequest = { prompt: "a red cube", width: SIZE, height: SIZE, numInferenceSteps: 3, seed: 7 };

let folder: string;
let client: WorkerClient<PipelineTasks>;
beforeAll(async () => {
  await useBackend("wasm");
  folder = await mkdtemp(join(tmpdir(), "worker "));
  await writeTinyStableDiffusion(folder);
  const { port1, port2 } = new MessageChannel();
  serveTasks(pipelineTasks(), port2);
  client = new WorkerClient(port1);
});
afterAll(async () => {
  client.close();
  await rm(folder, { recursive: true });
});

const load = () => client.call("load", { from: folder, backend: "wasm" });

/** A grey picture, the left half of which is opaque. */
function halfPicture() {
  const data = new Uint8ClampedArray(4 * SIZE * SIZE).fill(128);
  for (let i = 0; i < SIZE * SIZE; i++) data[4 * i + 3] = i % SIZE < SIZE / 2 ? 255 : 0;
  return { width: SIZE, height: SIZE, data };
}

describe("A model in a worker", () => {
  it("is asked for before one is open: the error says what to do", async () => {
    await expect(client.call("draw", REQUEST)).rejects.toThrow('call "load" first');
    await expect(client.call("load", { from: join(folder, "unet") })).rejects.toThrow(PipelineFolderError);
    await expect(client.call("draw", REQUEST)).rejects.toThrow('call "load" first');
  });

  it("draws what the pipeline draws, and says what it is", async () => {
    const loaded = await load();
    expect(loaded).toMatchObject({ backend: { name: "wasm" }, input: "text" });
    expect(loaded.options).toEqual(expect.arrayContaining(["prompt", "mask", "strength"]));
    const scheduler = { ...loaded.scheduler, _class_name: "EulerDiscreteScheduler" };
    const request = { ...REQUEST, seed: undefined, torchSeed: 7, scheduler };
    const { pictures, milliseconds } = await client.call("draw", request);
    expect(milliseconds).toBeGreaterThan(0);

    const pipeline = await openPipeline(folder);
    const own = { prompt: "a red cube", width: SIZE, height: SIZE, numInferenceSteps: 3 };
    const more = { noise: torchNoise(7), scheduler: schedulerFromConfig(scheduler) };
    const drawn = await pipeline.generate({ ...own, ...more });
    expect(pictures).toEqual(await picturesOf(drawn.images));
    tf.dispose(drawn);
    pipeline.dispose();
  });

  it("reports each step: pictures of x and x0, and their numbers", async () => {
    const steps: DrawProgress[] = [];
    const watch = ["x", "x0", "numbers"] as const;
    const { pictures } = await client.call("draw", { ...REQUEST, watch }, { onProgress: (step) => steps.push(step) });
    // The tiny model's sampler, PNDM, calls the network once more than it makes steps.
    expect(steps.map(({ index, total }) => [index, total])).toEqual([0, 1, 2, 3].map((index) => [index, 4]));
    const last = steps.at(-1)!;
    expect(last.x).toEqual(pictures);
    expect(last.x0![0]).toMatchObject({ width: SIZE, height: SIZE });
    expect(last.x0).not.toEqual(steps[0]!.x0);
    expect(last.numbers!.x0.shape).toEqual([1, 8, 8, 4]);
    expect(last.numbers!.latents.data).toHaveLength(256);
  });

  it("begins from a picture, and keeps what the mask leaves", async () => {
    const image = halfPicture();
    const [mask, strength] = [halfPicture(), 0.7];
    const changed = await client.call("draw", { ...REQUEST, image, strength });
    const painted = await client.call("draw", { ...REQUEST, image, mask, strength });
    expect(painted.pictures).not.toEqual(changed.pictures);
    const narrow = { ...image, width: SIZE / 2, data: image.data.slice(0, image.data.length / 2) };
    await expect(client.call("draw", { ...REQUEST, image: narrow, strength })).rejects.toThrow(PipelineOptionError);
  });

  it("leaves no tensor after drawings that end, fail or are stopped", async () => {
    const draw = client.latest("draw");
    const [image, watch] = [halfPicture(), ["x", "x0", "numbers"] as const];
    await draw({ ...REQUEST, image, watch });
    const { numTensors } = await client.call("memory", undefined);
    for (let i = 0; i < 5; i++) await draw({ ...REQUEST, image, watch, seed: i });
    await expect(draw({ ...REQUEST, width: 3 })).rejects.toThrow(PipelineOptionError);
    await expect(draw({ ...REQUEST, scheduler: { _class_name: "NoScheduler" } })).rejects.toMatchObject({
      name: "SchedulerConfigError",
    });
    await expect(draw({ ...REQUEST, loras: { none: 1 } })).rejects.toThrow(RangeError);
    const stop = new AbortController();
    const onProgress = ({ index }: DrawProgress) => {
      if (index === 1) stop.abort();
    };
    await expect(draw({ ...REQUEST, watch }, { signal: stop.signal, onProgress })).rejects.toThrow("aborted");
    expect(await client.call("memory", undefined)).toMatchObject({ numTensors });
  });

  it("is freed when another is opened, and by unload", async () => {
    const { numTensors } = await client.call("memory", undefined);
    await load();
    expect(await client.call("memory", undefined)).toMatchObject({ numTensors });
    await client.call("unload", undefined);
    expect(tf.memory().numTensors).toBe(0);
  });
});

it("A worker of Node draws with a model from a web server, and reports the bytes", async () => {
  const server = createServer((request, response) => {
    const file = join(folder, decodeURIComponent(new URL(request.url!, "http://here").pathname));
    createReadStream(file)
      .on("error", () => response.writeHead(404).end())
      .pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const script = join(folder, "drawing-worker.mjs");
  bundleScript(join(import.meta.dirname, "testing", "drawing-worker.ts"), script);
  const worker = new WorkerClient<PipelineTasks>(new Worker(script));
  try {
    const received: number[] = [];
    const from = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await worker.call("load", { from, backend: "cpu" }, { onProgress: (news) => received.push(news.received) });
    expect(received.at(-1)).toBeGreaterThan(100_000);
    expect([...received].sort((a, b) => a - b)).toEqual(received);
    const { pictures } = await worker.call("draw", { ...REQUEST, numInferenceSteps: 1 });
    expect(pictures[0]).toMatchObject({ width: SIZE, height: SIZE });
  } finally {
    worker.close();
    server.closeAllConnections();
    server.close();
  }
});
