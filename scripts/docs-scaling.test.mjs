import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import * as tf from "@tensorflow/tfjs";
import ts from "typescript";
import { openPipeline } from "../packages/core/dist/index.js";
import { documentedCode, documentedPython } from "./docs-code.mjs";
import { root } from "./run.mjs";

/** A Python with torch, diffusers and accelerate; the variable PYTHON names another than the one on the path. */
const PYTHON = process.env.PYTHON ?? "python3";
const FIND =
  "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ['torch', 'diffusers', 'accelerate'])))";
const hasAccelerate = spawnSync(PYTHON, ["-c", FIND]).status === 0;
const itWithPython = hasAccelerate ? it : it.skip;

const PAGE = "docs/scaling.md";
// Among the compiled examples, from where the packages are found.
const programs = join(root, "packages", "examples", "dist", "docs-scaling");

describe(`The blocks of ${PAGE}`, () => {
  let folder;
  beforeAll(() => {
    if (!hasAccelerate) console.info(`Skipped: ${PYTHON} has no accelerate; PYTHON=… names another.`);
    folder = mkdtempSync(join(tmpdir(), "docs scaling "));
    mkdirSync(programs, { recursive: true });
    symlinkSync(join(root, "packages"), join(folder, "packages"), "junction");
  });
  afterAll(() => {
    rmSync(programs, { recursive: true });
    rmSync(folder, { recursive: true });
  });

  const blocks = documentedCode().filter(({ where }) => where.startsWith(PAGE));
  const python = documentedPython(PAGE);

  it("are one of TypeScript, which every test run executes, and one of Python", () => {
    expect([blocks.map(({ isRun }) => isRun), python.length]).toEqual([[true], 1]);
  });

  itWithPython(
    "train our folder in two processes, and the result draws here",
    async () => {
      const program = join(programs, "pictures.mjs");
      const OPTIONS = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
      writeFileSync(program, ts.transpile(blocks[0].code, OPTIONS));
      execFileSync(process.execPath, [program], { cwd: folder, stdio: "pipe" });

      writeFileSync(join(folder, "train.py"), python[0]);
      const launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2"];
      const job = ["--model", "my-model", "--pictures", "pictures", "--out", "trained", "--steps", "4", "--batch", "2"];
      const { status, stdout, stderr } = spawnSync(PYTHON, [...launch, "train.py", ...job], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, OMP_NUM_THREADS: "1", ACCELERATE_USE_CPU: "true" },
      });
      if (status !== 0) throw new Error(stderr);
      expect(stdout).toMatch(/2 processes, 4 steps, last loss \d/);

      // The UNet was trained, and nothing else.
      const files = ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder_2/model"];
      const [before, after] = ["my-model", "trained"].map((name) =>
        files.map((file) => readFileSync(join(folder, name, `${file}.safetensors`)).toString("base64")),
      );
      expect(after.map((bytes, i) => bytes === before[i])).toEqual([false, true, true]);

      await tf.ready();
      const draw = async (name) => {
        const pipeline = await openPipeline(join(folder, name));
        const { images, latents } = await pipeline.generate({ prompt: "a bald man", numInferenceSteps: 2, seed: 1 });
        const values = images.dataSync();
        tf.dispose([images, latents]);
        pipeline.dispose();
        return values;
      };
      const [first, trained] = [await draw("my-model"), await draw("trained")];
      const change = first.reduce((sum, value, i) => sum + Math.abs(value - trained[i]), 0) / first.length;
      // Four small steps change the picture, and do not destroy it.
      expect(change).toBeGreaterThan(1e-5);
      expect(change).toBeLessThan(0.3);
    },
    300_000,
  );
});
