import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { COMMIT, FakeHub } from "../hub/testing/fake-hub.js";
import { loadModel } from "../models/load-model.js";
import type { UNet2DConditionModel } from "../models/unet/unet-2d-condition.js";
import { useTestBackend } from "../testing/backend.js";
import { fixturePath } from "../testing/fixture.js";
import { WeightsFormatError, WeightsReadError } from "../weights/errors.js";
import { addOnFile } from "./add-on-file.js";
import { LoraSet } from "./lora.js";

let folder: string;
const environment = { ...process.env };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "add-on-"));
  await useTestBackend();
});
afterEach(() => void (process.env = { ...environment }));
afterAll(() => rm(folder, { recursive: true }));

async function folderOf(name: string, ...files: string[]): Promise<string> {
  await mkdir(join(folder, name));
  for (const file of files) await writeFile(join(folder, name, file), "");
  return join(folder, name);
}

describe("The file of an add-on", () => {
  it("is the given file, address or bytes", async () => {
    const bytes = new Uint8Array(1);
    for (const from of ["a.safetensors", "https://example.org/lora", new URL("https://example.org/a"), bytes])
      expect(await addOnFile(from)).toBe(from);
    const bare = join(await folderOf("bare", "blob"), "blob");
    expect(await addOnFile(bare)).toBe(bare);
  });

  it("is the file of a folder with the usual name of diffusers or PEFT, or the only file", async () => {
    const usual = await folderOf("usual", "pytorch_lora_weights.safetensors", "other.safetensors");
    expect(await addOnFile(usual)).toBe(`${usual}/pytorch_lora_weights.safetensors`);
    const only = await folderOf("only", "my-style.safetensors", "README.md");
    expect(await addOnFile(only)).toBe(`${only}/my-style.safetensors`);
  });

  it("is chosen by weightName among several; without it they are listed", async () => {
    const several = await folderOf("several", "one.safetensors", "two.safetensors");
    expect(await addOnFile(several, { weightName: "two.safetensors" })).toBe(`${several}/two.safetensors`);
    await expect(addOnFile(several)).rejects.toThrow(WeightsFormatError);
    await expect(addOnFile(several)).rejects.toThrow(/are one.safetensors, two.safetensors; .*weightName/);
    await expect(addOnFile(several, { weightName: "three.safetensors" })).rejects.toThrow(/expected three/);
    await expect(addOnFile(await folderOf("pickles", "lora.bin"))).rejects.toThrow(/in it are none/);
  });

  it("is the only file that is downloaded from the hub", async () => {
    const weights = await readFile(fixturePath("lora/peft/pytorch_lora_weights.safetensors"));
    const hub = await FakeHub.start({
      "pytorch_lora_weights.safetensors": weights,
      "README.md": "#",
      "x.bin": "pickle",
    });
    process.env = { ...environment, HF_HOME: join(folder, "home"), HF_ENDPOINT: hub.endpoint };
    const unet = (await loadModel(fixturePath("tiny-stable-diffusion/unet"))) as UNet2DConditionModel;
    const loras = new LoraSet({ unet });
    try {
      await loras.load("owner/name", { name: "style" });
      expect(loras.scales).toEqual({ style: 1 });
      const snapshot = join(folder, "home/hub/models--owner--name/snapshots", COMMIT);
      expect(await readdir(snapshot)).toEqual(["pytorch_lora_weights.safetensors"]);
    } finally {
      loras.unload();
      unet.dispose();
      await hub.stop();
    }
  });

  it("is refused by the reader if it does not exist", async () => {
    const loras = new LoraSet({});
    await expect(loras.load(join(folder, "nowhere"))).rejects.toThrow(WeightsReadError);
  });
});
