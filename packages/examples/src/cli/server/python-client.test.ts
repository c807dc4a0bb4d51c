/** The server asked by webuiapi, a Python client of AUTOMATIC1111's API, if it is installed. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { decodePng } from "@tfjs-diffusion/core";
import { hasModules, PYTHON } from "../../../../core/src/testing/python.js";
import { ended, type Program, serve } from "../../../bench/programs.js";

const hasClient = hasModules("webuiapi");
if (!hasClient) console.info(`Skipped: ${PYTHON} has no webuiapi (pip install webuiapi); PYTHON=… names another.`);

interface Drawn {
  samplers: string[];
  models: string[];
  model: string;
  progress: number;
  seeds: number[];
  drawn: number[][];
  redrawn: number[];
  painted: number[];
  refusal: string;
}

(hasClient ? describe : describe.skip)("A Python client of AUTOMATIC1111's API", () => {
  let server: Program;
  let drawn: Drawn;
  beforeAll(async () => {
    server = await serve();
    const script = join(import.meta.dirname, "testing", "draw_with_webuiapi.py");
    const { stdout } = await promisify(execFile)(PYTHON, [script, new URL(server.at).port]);
    drawn = JSON.parse(stdout) as Drawn;
  });
  afterAll(async () => {
    await ended(server);
  });

  it("lists models and samplers", () => {
    expect(drawn).toMatchObject({ models: ["portraits"], model: "portraits", progress: 0 });
    expect(drawn.samplers).toEqual(expect.arrayContaining(["Euler", "Euler a", "DPM++ 2M"]));
  });

  it("gets the pictures that another client gets for the same request", async () => {
    expect(drawn.seeds).toEqual([7, 8]);
    const answer = await fetch(`${server.at}/sdapi/v1/txt2img`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        prompt: "a smiling woman with a red hat",
        negative_prompt: "a beard",
        seed: 7,
        batch_size: 2,
        steps: 4,
        cfg_scale: 3,
        sampler_name: "Euler",
      }),
    });
    const { images } = (await answer.json()) as { images: string[] };
    expect(await Promise.all(images.map(bytesOf))).toEqual(drawn.drawn);
  });

  it("draws over a picture, and repaints the masked part only", () => {
    expect(drawn.redrawn).not.toEqual(drawn.drawn[0]);
    const changed = drawn.painted.flatMap((value, i) => (value === drawn.drawn[0]![i] ? [] : [Math.floor(i / 3)]));
    expect(changed.length).toBeGreaterThan(100);
    for (const pixel of changed) {
      const [row, column] = [Math.floor(pixel / 32), pixel % 32];
      expect(Math.min(row, column)).toBeGreaterThanOrEqual(8);
      expect(Math.max(row, column)).toBeLessThan(24);
    }
  });

  it("reads that its usual 512 x 512 pixels are too many for this model", () => {
    expect(drawn.refusal).toMatch(/512x512 is too large. portraits draws 32x32 best/);
  });
});

async function bytesOf(base64: string): Promise<number[]> {
  const picture = await decodePng(Buffer.from(base64, "base64"));
  const values = Array.from(await picture.data(), (value) => Math.round(value * 255));
  picture.dispose();
  return values;
}
