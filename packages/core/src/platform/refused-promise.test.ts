import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { bundleScript } from "../testing/bundle-script.js";

let folder: string;
let status: number | null;
let errors: Map<string, string>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "async "));
  const script = join(folder, "async-callbacks.mjs");
  bundleScript(join(import.meta.dirname, "../testing/async-callbacks.ts"), script);
  const run = spawnSync(process.execPath, [script], { encoding: "utf8" });
  status = run.status;
  if (status !== 0) console.error(run.stderr);
  const lines = run.stdout.trim().split("\n");
  const told = lines.map((line) => JSON.parse(line) as { name: string; type: string; message: string });
  errors = new Map(told.map(({ name, type, message }) => [name, `${type}: ${message}`]));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe("A callback that is asynchronous and rejects", () => {
  it("does not end the process", () => {
    expect(status).toBe(0);
  });

  it.each(["onStep", "loraResolver", "onCheckpoint", "checkpoint.to.write"])(
    "is awaited where the library can wait, and its error is the caller's: %s",
    (name) => {
      expect(errors.get(name)).toBe("Error: mine");
    },
  );

  it.each([
    ["guidanceFunction", /^PipelineOptionError: guidanceFunction: returned .*; it must not be asynchronous\.$/],
    ["noise.normal", /^PipelineOptionError: noise: normal returned .*; it must not be asynchronous\.$/],
    ["plan.start", /^PipelineOptionError: scheduler: DDIMScheduler, before the first step: the plan gave /],
    ["plan.scaleInput", /^PipelineOptionError: scheduler: DDIMScheduler, Step 1 of 2 .*: the plan gave /],
    ["plan.step", /^PipelineOptionError: scheduler: DDIMScheduler, Step 1 of 2 .*: the plan gave /],
    ["denoiser.forward", /^PipelinePartsError: The forward of the denoiser .* and no promise: it must be synchronous/],
    ["onTruncate", /^TypeError: onTruncate returned a promise; it must not be asynchronous/],
    ["loss", /^TypeError: The loss is \[object Promise\]; .*; it must not be asynchronous\.$/],
    ["schedule", /^RangeError: train: the schedule gives step 1 the learning rate \[object Promise\]/],
  ])("is refused with a typed error where the library cannot wait: %s", (name, message) => {
    expect(errors.get(name)).toMatch(message);
  });

  it("is tested for all of these, and no other", () => {
    expect(errors.size).toBe(13);
  });
});
