import { copyFile, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { modelFolder } from "../hub/model-source.js";
import { loadModel } from "../models/load-model.js";
import type { ModelFiles } from "../platform/model-files.js";
import { useTestBackend } from "../testing/backend.js";
import { writeTinyStableDiffusion } from "../testing/stable-diffusion.js";
import { CLIPTokenizer } from "../text/tokenizer.js";
import { openPipeline } from "./open-pipeline.js";
import { PipelineFolderError } from "./options/errors.js";

let folder: string;
let scattered: string;
let names: string[];

/** As a bundler places files: all in one folder, each with another name. */
beforeAll(async () => {
  await useTestBackend();
  const root = await mkdtemp(join(tmpdir(), "model files "));
  folder = join(root, "model");
  scattered = await mkdtemp(join(root, "assets "));
  await writeTinyStableDiffusion(folder);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  names = names.map((name) => name.replaceAll("\\", "/"));
  for (const [i, name] of names.entries()) await copyFile(join(folder, name), join(scattered, assetName(name, i)));
});
afterAll(() => rm(join(folder, ".."), { recursive: true }));

const assetName = (name: string, i: number) => basename(name).replace(".", `-${i}.`);

function filesAt(address: (name: string, i: number) => string | URL): ModelFiles {
  return Object.fromEntries(names.map((name, i) => [name, address(name, i)]));
}

async function drawFrom(place: ModelFiles | string): Promise<number[]> {
  const pipeline = await openPipeline(place);
  const drawn = await pipeline.generate({ prompt: "a cat", numInferenceSteps: 2, seed: 1 });
  const values = Array.from(await drawn.images.data());
  tf.dispose(drawn);
  pipeline.dispose();
  return values;
}

it("A pipeline opens from the addresses of its files, on disk or on a server, and draws the same", async () => {
  const expected = await drawFrom(folder);
  const onDisk = filesAt((name, i) => pathToFileURL(join(scattered, assetName(name, i))));
  expect(await drawFrom(onDisk)).toEqual(expected);

  const server = createServer((request, response) => {
    asked.push(request.url!.slice(1));
    readFile(join(scattered, request.url!)).then(
      (bytes) => response.end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  const asked: string[] = [];
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect(await drawFrom(filesAt((name, i) => new URL(assetName(name, i), address)))).toEqual(expected);
    expect(asked.filter((name) => !names.map(assetName).includes(name))).toEqual([]);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

it("Its networks and tokenizers open alone", async () => {
  const files = filesAt((name, i) => pathToFileURL(join(scattered, assetName(name, i))));
  const unet = await loadModel(files, { subfolder: "unet" });
  expect(unet.parameters().size).toBeGreaterThan(100);
  unet.dispose();
  const tokenizer = await CLIPTokenizer.fromFolder(files, { subfolder: "tokenizer" });
  expect(tokenizer.encode("a cat")).toEqual(
    (await CLIPTokenizer.fromFolder(join(folder, "tokenizer"))).encode("a cat"),
  );
});

it("Files that lie in one folder of the disk are this folder, so that its errors have paths", async () => {
  expect(await modelFolder(filesAt((name) => pathToFileURL(join(folder, name))))).toBe(folder);
});

it("A missing file is named, and so is what is there", async () => {
  const all = filesAt((name, i) => pathToFileURL(join(scattered, assetName(name, i))));
  const { "model_index.json": _, ...withoutIndex } = all;
  await expect(openPipeline(withoutIndex)).rejects.toThrow(PipelineFolderError);
  await expect(openPipeline(withoutIndex)).rejects.toThrow(/model_index\.json.*it is not among the given files/);
  const { "unet/diffusion_pytorch_model.safetensors": __, ...withoutWeights } = all;
  await expect(openPipeline(withoutWeights)).rejects.toThrow(/unet has no weights.*There is the variant fp16/);
});

it("Other objects are refused with what is expected", async () => {
  for (const wrong of [{}, { "model_index.json": 1 }, [], new Map()]) {
    await expect(openPipeline(wrong as ModelFiles)).rejects.toThrow(/the addresses of its files/);
  }
});
