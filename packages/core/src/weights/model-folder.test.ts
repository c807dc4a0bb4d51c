import { createHash } from "node:crypto";
import { copyFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import { useBackend } from "../backend/use-backend.js";
import { Linear } from "../nn/linear.js";
import { namedParameters, Parameter } from "../nn/parameter.js";
import { SHARD_INDEX, SHARDED, writeShardedUnet } from "../testing/sharded-unet.js";
import { loadModel } from "../models/load-model.js";
import { WeightsFormatError, WeightsMismatchError, WeightsReadError } from "./errors.js";
import { closeAll, openModelFolder, readModelFolder } from "./model-folder.js";
import { saveModelFolder, writeModelFolder } from "./save-model-folder.js";
import { readParameters } from "./parameters.js";
import { openSafetensors } from "./safetensors.js";
import { writeShards } from "./write-shards.js";
import { type TensorToWrite, writeSafetensors } from "./write-safetensors.js";

/** The tiny UNet in six files. */
let sharded: string;
let folder: string;
beforeAll(async () => {
  await useBackend("wasm");
  sharded = await mkdtemp(join(tmpdir(), "sharded "));
  await writeShardedUnet(sharded);
});
afterAll(() => rm(sharded, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "model folder "));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe("A model in shards", () => {
  it("is written as in diffusers, byte for byte", async () => {
    const { sha256 } = JSON.parse(await readFile(join(SHARDED, "meta.json"), "utf8")) as {
      sha256: Record<string, string>;
    };
    const written = (await readdir(sharded)).filter((name) => name.startsWith("diffusion"));
    expect(written.sort()).toEqual([...Object.keys(sha256), SHARD_INDEX].sort());
    for (const [name, hash] of Object.entries(sha256)) {
      const bytes = await readFile(join(sharded, name));
      expect([name, createHash("sha256").update(bytes).digest("hex")]).toEqual([name, hash]);
    }
    expect(await readFile(join(sharded, SHARD_INDEX), "utf8")).toBe(await readFile(join(SHARDED, SHARD_INDEX), "utf8"));
  });

  it("is the same in one file, in half precision, and as a variant in the same folder", async () => {
    const before = tf.memory().numTensors;
    const model = await loadModel(sharded);
    await model.save(folder);
    await model.save(folder, { dtype: "F16", variant: "fp16" });
    expect((await readdir(folder)).sort()).toEqual([
      "config.json",
      "diffusion_pytorch_model.fp16.safetensors",
      "diffusion_pytorch_model.safetensors",
    ]);
    const [whole, variant, rounded] = await Promise.all([
      loadModel(folder),
      loadModel(folder, { variant: "fp16" }),
      loadModel(folder, { dtype: "F16" }),
    ]);
    for (const [name, value] of model.parameters()) {
      const stored = value.dataSync();
      expect([name, differences(whole.parameters().get(name)!, stored)]).toEqual([name, 0]);
      expect([name, differences(rounded.parameters().get(name)!, variant.parameters().get(name)!.dataSync())]).toEqual([
        name,
        0,
      ]);
      const worst = Math.max(
        ...Array.from(
          variant.parameters().get(name)!.dataSync(),
          (x, i) => Math.abs(x - stored[i]!) - 2 ** -11 * Math.abs(stored[i]!),
        ),
      );
      expect(worst).toBeLessThanOrEqual(2 ** -25); // Half a unit in the last place: relative, or of the subnormal numbers.
    }
    for (const loaded of [model, whole, variant, rounded]) loaded.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses the precision names of other libraries, and variants that lead outside the folder, on reading and writing", async () => {
    const parameters = filled(new Linear(4, 4));
    const named = { dtype: "float16" as "F16" };
    const refused = 'dtype: "float16"; expected one of F32, F16, BF16.';
    await expect(saveModelFolder(folder, "transformers", {}, parameters, named)).rejects.toThrow(refused);
    await saveModelFolder(folder, "transformers", {}, parameters);
    await expect(readModelFolder(folder, parameters, named)).rejects.toThrow(refused);
    const outside = { variant: "../../x" };
    await expect(saveModelFolder(folder, "transformers", {}, parameters, outside)).rejects.toThrow(
      'variant: "../../x"',
    );
    await expect(readModelFolder(folder, parameters, outside)).rejects.toThrow('variant: "../../x"');
    for (const parameter of parameters.values()) parameter.dispose();
  });

  it("has a tensor that exceeds the largest file size in a separate file", async () => {
    const parameters = filled(new Linear(4, 4), new Linear(1, 1));
    await saveModelFolder(folder, "transformers", {}, parameters, { maxShardBytes: 30 });
    const index = JSON.parse(await readFile(join(folder, "model.safetensors.index.json"), "utf8")) as {
      weight_map: object;
    };
    expect(index.weight_map).toEqual({
      "0.bias": "model-00002-of-00002.safetensors",
      "0.weight": "model-00001-of-00002.safetensors",
      "1.bias": "model-00002-of-00002.safetensors",
      "1.weight": "model-00002-of-00002.safetensors",
    });
    const again = filled(new Linear(4, 4), new Linear(1, 1));
    await readModelFolder(folder, again);
    for (const parameter of [...parameters.values(), ...again.values()]) parameter.dispose();
  });

  it.each<[string, unknown, RegExp]>([
    [
      "a folder above",
      { weight_map: { a: "../a.safetensors" } },
      /"\.\.\/a\.safetensors"; expected safetensors files of the same folder/,
    ],
    ["a folder above, as Windows writes it", { weight_map: { a: "..\\a.safetensors" } }, /same folder/],
    ["an absolute path", { weight_map: { a: "/etc/a.safetensors" } }, /same folder/],
    ["a drive", { weight_map: { a: "C:a.safetensors" } }, /same folder/],
    ["an address", { weight_map: { a: "https://evil.example/a.safetensors" } }, /same folder/],
    ["a path with a null character", { weight_map: { a: "/etc/passwd\0.safetensors" } }, /same folder/],
    ["a pickle", { weight_map: { a: "model.bin" } }, /same folder/],
    ["a number", { weight_map: { a: 1 } }, /names 1;/],
    ["nothing", { weight_map: {} }, /is empty/],
    ["no map", { metadata: {} }, /has no weight_map/],
    ["a list instead of an index", [], /is not a JSON object; expected an index with a weight_map/],
  ])("is refused if its index names %s", async (_, index, message) => {
    await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify(index));
    const read = readModelFolder(folder, filled(new Linear(1, 1)));
    await expect(read).rejects.toThrow(WeightsFormatError);
    await expect(read).rejects.toThrow(message);
  });

  it("is refused if one of its files is missing, or its index is not JSON", async () => {
    await copyFile(join(sharded, "config.json"), join(folder, "config.json"));
    await copyFile(join(sharded, SHARD_INDEX), join(folder, SHARD_INDEX));
    await expect(loadModel(folder)).rejects.toThrow(
      /diffusion_pytorch_model-0000\d-of-00006.safetensors cannot be read/,
    );
    await writeFile(join(folder, SHARD_INDEX), "{");
    await expect(loadModel(folder)).rejects.toThrow(/index\.json cannot be read .*JSON.*Download it again/);
    await writeFile(join(folder, SHARD_INDEX), "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    await expect(loadModel(folder)).rejects.toThrow(/index\.json: this is a Git LFS pointer/);
  });
});

describe("A model that is saved over another", () => {
  const tensors = (value: number) =>
    new Map(
      Array.from({ length: 4 }, (_, i): [string, TensorToWrite] => [
        `w${i}`,
        { dtype: "F32", shape: [2], data: Float32Array.of(value, i) },
      ]),
    );
  const save = (value: number, maxShardBytes: number, variant?: string) =>
    writeShards(folder, { base: "model", variant, tensors: tensors(value), maxShardBytes });
  const read = async () => {
    const files = await openModelFolder(folder);
    const first = await Promise.all(files.flatMap((file) => [...file.tensors.keys()].map((name) => file.read(name))));
    await closeAll(files);
    return first.map(([value]) => value);
  };

  it.each([
    ["in shards over one file", 99, 8, 5],
    ["in one file over shards", 8, 99, 1],
    ["in two shards over four", 8, 16, 3],
    ["in four shards over two", 16, 8, 5],
  ])("is read, and nothing of the earlier one remains: %s", async (_, before, after, files) => {
    await save(1, before, "fp16");
    await save(1, before);
    await save(2, after);
    expect(await read()).toEqual([2, 2, 2, 2]);
    const names = await readdir(folder);
    expect(names.filter((name) => !name.includes("fp16"))).toHaveLength(files);
    expect(names.some((name) => name.includes("fp16"))).toBe(true);
  });

  it.each([8, 16])(
    "stays as it was if not all shards can be written, also over shards of the same names",
    async (before) => {
      await save(1, before);
      const broken = tensors(2).set("w2", { dtype: "F32", shape: [2], data: () => new Float32Array(3) });
      const saved = writeModelFolder(folder, "transformers", {}, broken, { maxShardBytes: 8 });
      await expect(saved).rejects.toThrow("its shape [2] needs 2");
      expect(await read()).toEqual([1, 1, 1, 1]);
      expect((await readdir(join(folder, ".."))).filter((name) => name.startsWith(basename(folder)))).toHaveLength(1);
    },
  );
});

describe("A folder without the requested weights", () => {
  it.each<[string, string[], string | undefined, RegExp]>([
    [
      "but with other variants is refused with their names",
      ["model.fp16.safetensors"],
      undefined,
      /There is the variant fp16: give \{ variant: "fp16" \}/,
    ],
    [
      "but with a pickle is refused with advice to convert it",
      ["pytorch_model.bin"],
      undefined,
      /pytorch_model\.bin is a pickle.*convert it/,
    ],
    ["with other files", ["notes.txt"], "ema", /variant "ema".*It holds notes\.txt/],
    ["is empty", [], undefined, /empty or does not exist/],
  ])("%s", async (_, files, variant, message) => {
    for (const name of files) await writeFile(join(folder, name), "");
    const read = readModelFolder(folder, filled(new Linear(1, 1)), { variant });
    await expect(read).rejects.toThrow(WeightsReadError);
    await expect(read).rejects.toThrow(message);
  });
});

describe("Weights of another network", () => {
  const tensor = (shape: number[], dtype: "F32" | "I32" = "F32"): TensorToWrite => {
    const size = shape.reduce((product, count) => product * count, 1);
    return { dtype, shape, data: dtype === "F32" ? new Float32Array(size) : new Int32Array(size) };
  };

  it("are refused with all differences and similar names, and nothing is allocated", async () => {
    const path = join(folder, "model.safetensors");
    await writeSafetensors(path, {
      "0.wieght": tensor([3, 2]),
      "0.bias": tensor([4]),
      "1.weight": tensor([1, 1], "I32"),
      "something.else": tensor([1]),
    });
    const parameters = new Map(namedParameters([new Linear(2, 3), new Linear(1, 1)]));
    const before = tf.memory().numTensors;
    const error = await readModelFolder(folder, parameters).then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    expect(error).toBeInstanceOf(WeightsMismatchError);
    expect(
      error!.message
        .split("\n")
        .slice(1)
        .map((line) => line.trim()),
    ).toEqual([
      "0.bias is [4]; expected [3]",
      "1.weight is of the whole-number type I32; expected F32, F16, BF16, F64 or F8",
      "0.weight is missing (nearest: 0.wieght)",
      "1.bias is missing",
      "0.wieght is not part of the network (nearest: 0.weight)",
      "something.else is not part of the network",
    ]);
    expect([...parameters.values()].some(({ isAllocated }) => isAllocated)).toBe(false);
    expect(tf.memory().numTensors).toBe(before);
  });

  it("are compared by the hundreds without delay", async () => {
    const named = (word: string) =>
      Array.from({ length: 300 }, (_, i) => `down_blocks.${i % 4}.${word}.${i}.transformer_blocks.0.attn1.to_q.weight`);
    const path = join(folder, "other.safetensors");
    const tensors = named("attn").map(
      (name) => [name, { dtype: "F32", shape: [1], data: new Float32Array(1) }] as const,
    );
    await writeSafetensors(path, new Map(tensors));
    const wanted = new Map(named("attentions").map((name) => [name, new Parameter([1], () => tf.zeros([1]))]));
    const file = await openSafetensors(path);
    const before = process.cpuUsage();
    const error = await readParameters(file, wanted).catch((error: Error) => error.message);
    const { user } = process.cpuUsage(before);
    // 0.2 s of processor time; comparing all pairs by sorting took 4 s.
    expect(user).toBeLessThan(2e6);
    expect(error).toContain("600 differences");
    expect(error).toContain(`${named("attentions")[7]} is missing (nearest: ${named("attn")[7]})`);
    await file.close();
  });

  it("of float64, and linear layers stored as 1x1 convolutions, are accepted", async () => {
    await writeSafetensors(join(folder, "model.safetensors"), {
      "0.weight": { dtype: "F64", shape: [1, 2, 1, 1], data: Float64Array.of(0.1, 2) },
      "0.bias": tensor([1]),
    });
    const parameters = new Map(namedParameters([new Linear(2, 1)]));
    await readModelFolder(folder, parameters);
    expect([...parameters.get("0.weight")!.value.dataSync()]).toEqual([Math.fround(0.1), 2]);
    for (const parameter of parameters.values()) parameter.dispose();
  });
});

it("A config is written with sorted keys, as Python writes it", async () => {
  const parameters = filled(new Linear(1, 1));
  await saveModelFolder(folder, "diffusers", { b: [{ d: 1, c: 2 }], _class_name: "X", a: null }, parameters);
  expect(await readFile(join(folder, "config.json"), "utf8")).toBe(
    '{\n  "_class_name": "X",\n  "a": null,\n  "b": [\n    {\n      "c": 2,\n      "d": 1\n    }\n  ]\n}\n',
  );
  const file = await openSafetensors(join(folder, "diffusion_pytorch_model.safetensors"));
  expect(file.metadata).toEqual({ format: "pt" });
  await file.close();
  for (const parameter of parameters.values()) parameter.dispose();
});

/** The parameters of some layers, with values. */
function filled(...layers: Linear[]): Map<string, Parameter> {
  const parameters = new Map(namedParameters(layers));
  for (const parameter of parameters.values()) tf.tidy(() => parameter.assign(tf.ones(parameter.shape)));
  return parameters;
}

function differences(got: tf.Variable, want: ArrayLike<number>): number {
  return got.dataSync().filter((value, i) => !Object.is(value, want[i])).length;
}

it("A config's floats with whole values are written as Python floats, because transformers requires it", async () => {
  const config = {
    initializer_factor: 1,
    hidden_size: 8,
    text_config: { layer_norm_eps: 1e-5, initializer_factor: 2 },
  };
  await saveModelFolder(folder, "transformers", config, new Map());
  const text = await readFile(join(folder, "config.json"), "utf8");
  expect(text).toContain('"initializer_factor": 1.0');
  expect(text).toContain('"initializer_factor": 2.0');
  expect(text).toContain('"hidden_size": 8,');
  expect(JSON.parse(text)).toEqual(config);
});
