import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { inspectCheckpoint } from "@tfjs-diffusion/core/layouts";
import { describeReport, readInspectArguments } from "./inspect.js";
import { UsageError } from "../options/usage-error.js";

const fixture = (path: string) => fileURLToPath(new URL(`../../../../core/fixtures/${path}`, import.meta.url));

describe("diffusion inspect", () => {
  it("describes a checkpoint in lines", () => {
    const unet = {
      name: "unet",
      tensors: 686,
      parameters: 859_520_964,
      bytes: 1_719_041_928,
      dtypes: { F16: 859_520_964 },
    };
    const description = describeReport({
      kind: "single file",
      family: "sd1",
      parts: [unet, { ...unet, name: "vae", variant: "fp16", className: "AutoencoderKL", parameters: 12, bytes: 24 }],
      prediction: { type: "epsilon", certainty: "guessed", reason: "sd1 was published so" },
      pictureSize: 512,
      inChannels: 9,
      notes: ["It also holds averaged weights of the UNet."],
    });
    expect(description.split("\n")).toEqual([
      "single file, Stable Diffusion 1, for inpainting",
      "made for pictures of 512 x 512",
      "predicts epsilon (guessed: sd1 was published so)",
      "  unet        686 tensors, 859.5M numbers, F16, 1.7 GB",
      "  vae (fp16)  686 tensors, 12 numbers, F16, 24 B, AutoencoderKL",
      "  takes 3.4 GB of memory as float32",
      "It also holds averaged weights of the UNet.",
    ]);
  });

  it("says how much memory a drawing takes, and when WebAssembly cannot hold it", () => {
    const part = { name: "unet", tensors: 1, parameters: 1e9, bytes: 2e9, dtypes: { F16: 1e9 } };
    const described = (bytes: number) =>
      describeReport({
        kind: "pipeline folder",
        parts: [part],
        drawing: { width: 512, height: 256, bytes },
        notes: [],
      })
        .split("\n")
        .at(-1);
    const weights = "  takes 4.0 GB of memory as float32";
    expect(described(1e8)).toBe(`${weights}; drawing 512 x 256 pixels takes at least 100.0 MB more`);
    expect(described(3e8)).toBe(
      `${weights}; drawing 512 x 256 pixels takes at least 300.0 MB more, more than WebAssembly can hold: use the native backend or a graphics card`,
    );
  });

  it("identifies real files", async () => {
    const lora = await inspectCheckpoint(fixture("lora/peft/pytorch_lora_weights.safetensors"));
    expect(describeReport(lora)).toMatch(/^lora\n {2}unet {2}96 tensors, .*F32.*\nChanges 48 layers, at rank 4\.$/);
  });

  it("takes one path", () => {
    expect(readInspectArguments(["a.safetensors", "--json"])).toEqual({ from: "a.safetensors", json: true });
    expect(readInspectArguments(["-h"])).toBe("help");
    for (const args of [[], ["a", "b"], ["a", "--deep"]]) expect(() => readInspectArguments(args)).toThrow(UsageError);
    expect(() => readInspectArguments(["a", "b"])).toThrow("expected one path, a file or a folder; got a, b");
  });
});
