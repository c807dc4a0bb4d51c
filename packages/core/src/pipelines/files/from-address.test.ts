import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { loadModel } from "../../models/load-model.js";
import { FileWriteError } from "../../platform/write-files.js";
import { useTestBackend } from "../../testing/backend.js";
import { writeTinyStableDiffusion } from "../../testing/stable-diffusion.js";
import { CLIPTokenizer } from "../../text/tokenizer.js";
import { openPipeline } from "../open-pipeline.js";
import { StableDiffusionPipeline } from "../stable-diffusion/stable-diffusion.js";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let folder: string;
let server: Server | undefined;
beforeAll(async () => {
  await useTestBackend();
  folder = await mkdtemp(join(tmpdir(), "tiny-"));
  await writeTinyStableDiffusion(folder);
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
});

/** Serves the files of `folder` and returns the address. `missing` answers requests for files that do not exist. */
async function serve(missing: Answer = notFound, refusesHead = false): Promise<string> {
  server = createServer((request, response) => {
    const path = new URL(request.url!, "http://here").pathname.replace("/models/tiny/", "");
    if (refusesHead && request.method === "HEAD") return void response.writeHead(405).end();
    readFile(join(folder, path)).then(
      (bytes) => void response.writeHead(200, { "content-length": bytes.length }).end(bytes),
      () => missing(request, response),
    );
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/tiny`;
}
const notFound: Answer = (_, response) => void response.writeHead(404).end("no such file");
/** The answer of a single-page application's server to every request. */
const aPage: Answer = (_, response) =>
  void response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end("<!doctype html><title>App</title>");

async function draw(from: string | URL): Promise<Float32Array> {
  const pipeline = await StableDiffusionPipeline.fromPretrained(from);
  const { images, latents } = await pipeline.generate({ prompt: "a cat", numInferenceSteps: 2, seed: 3 });
  const pixels = images.dataSync().slice() as Float32Array;
  tf.dispose([images, latents]);
  pipeline.dispose();
  return pixels;
}

describe("A pipeline's folder on a web server", () => {
  it.each<[string, Answer, boolean]>([
    ["that answers 404 for missing files", notFound, false],
    ["that answers every request with a page", aPage, false],
    ["that does not know HEAD", notFound, true],
  ])("draws as the same folder on the disk does, from a server %s", async (_, missing, refusesHead) => {
    const address = await serve(missing, refusesHead);
    const wanted = await draw(folder);
    expect(await draw(address)).toEqual(wanted);
    expect(await draw(new URL(`${address}/`))).toEqual(wanted);
  });

  it("opens as the pipeline that its index names, and its parts open one by one", async () => {
    const address = await serve();
    const pipeline = await openPipeline(address);
    expect(pipeline).toBeInstanceOf(StableDiffusionPipeline);
    pipeline.dispose();
    const unet = await loadModel(address, { subfolder: "unet" });
    const local = await loadModel(folder, { subfolder: "unet" });
    expect([...unet.parameters().keys()]).toEqual([...local.parameters().keys()]);
    unet.dispose();
    local.dispose();
    const tokenizer = await CLIPTokenizer.fromFolder(`${address}/tokenizer`);
    expect(tokenizer.encode("a cat")).toEqual((await CLIPTokenizer.fromFolder(`${folder}/tokenizer`)).encode("a cat"));
  });

  it("is distinguished from a single file by its name alone", async () => {
    const address = await serve();
    await expect(StableDiffusionPipeline.fromPretrained(`${address}/other.safetensors?download=1`)).rejects.toThrow(
      "/models/tiny/other.safetensors: the server answered 404",
    );
    await expect(StableDiffusionPipeline.fromPretrained(`${address}/other`)).rejects.toThrow(/model_index.json/);
  });

  it("leaves nothing behind if a part is missing or the server is down", async () => {
    const address = await serve();
    const before = tf.memory().numTensors;
    await expect(loadModel(`${address}/vae/no`)).rejects.toThrow(
      /config.json cannot be read \(the server answered 404/,
    );
    await expect(loadModel(`${address.replace("127.0.0.1", "127.0.0.1:1")}`)).rejects.toThrow();
    await expect(loadModel("http://127.0.0.1:1/model")).rejects.toThrow(/cannot be read \(it cannot be reached: /);
    expect(tf.memory().numTensors).toBe(before);
  });

  it.each([
    ["https://someone:secret@example.org/model", "The address of example.org contains a user name"],
    ["https://example.org/model?token=secret", "https://example.org/model is followed by ? or #"],
    ["data:text/plain,model", "5 bytes are too few for a safetensors file"],
  ])("is refused before any request, without a secret in the message: %s", async (address, message) => {
    const failure = await loadModel(address).catch((error: unknown) => error as Error);
    expect((failure as Error).message).toContain(message);
    expect((failure as Error).message).not.toContain("secret");
  });

  it("cannot be written to", async () => {
    const address = await serve();
    const pipeline = await StableDiffusionPipeline.fromPretrained(address);
    await expect(pipeline.savePretrained(address)).rejects.toThrow(FileWriteError);
    pipeline.dispose();
  });
});
