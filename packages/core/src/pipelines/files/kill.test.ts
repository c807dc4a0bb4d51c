import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { keyedNoise, keyedRandom } from "@tfjs-diffusion/schedulers";
import { useTestBackend } from "../../testing/backend.js";
import { bundleScript } from "../../testing/bundle-script.js";
import { tinyTextToImage } from "../../testing/tiny-text-to-image.js";
import { openPipeline } from "../open-pipeline.js";
import { PixelDiffusionPipeline } from "../pixels/pixel-diffusion.js";

/** Kills of each job. The long form: `KILLS=200 npm run jest -- packages/core/src/pipelines/files/kill.test.ts`. */
const KILLS = Number(process.env.KILLS ?? 10);
const SEED = Number(process.env.KILL_SEED ?? 0);

/** Two pipelines that differ in every weight, and how each is saved: several files over one file, and back. */
const PIPELINES = [
  { name: "first", maxShardBytes: 8_000 },
  { name: "second", maxShardBytes: 1e9 },
  { name: "third", maxShardBytes: 8_000 },
] as const;

let folder: string;
let script: string;
let target: string;
let wanted: Map<string, string>;

beforeAll(async () => {
  await useTestBackend();
  folder = mkdtempSync(join(tmpdir(), "killed saves "));
  script = join(folder, "killed-save.mjs");
  target = join(folder, "models", "target");
  bundleScript(join(import.meta.dirname, "testing/killed-save.ts"), script);
  wanted = new Map();
  for (const [i, { name, maxShardBytes }] of PIPELINES.entries()) {
    const pipeline = new PixelDiffusionPipeline(tinyTextToImage());
    for (const network of [pipeline.parts.unet, pipeline.parts.textEncoder, pipeline.parts.textEncoder2!])
      (network as typeof pipeline.parts.textEncoder).initialize(keyedNoise(100 + i));
    await pipeline.savePretrained(join(folder, name), { maxShardBytes });
    pipeline.dispose();
    wanted.set(fingerprint(join(folder, name)), name);
  }
  expect(wanted.size).toBe(PIPELINES.length);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

/** Names and contents of all files; notes of the user's own are not of the pipeline. */
function fingerprint(of: string): string {
  const hash = createHash("sha256");
  const files = readdirSync(of, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const path of files.map((file) => join(file.parentPath, file.name)).sort()) {
    if (path.endsWith("notes.md")) continue;
    hash.update(`${path.slice(of.length)}\n`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

interface Moment {
  /** Milliseconds after the save began. */
  killAfter?: number;
  /** Or: in the middle of which change to the file system. */
  killAt?: number;
}

/** Saves in a process of its own; returns whether it was killed. */
function save(job: string, { name, maxShardBytes }: (typeof PIPELINES)[number], moment: Moment = {}): Promise<boolean> {
  return new Promise((done, fail) => {
    const env = { ...process.env, ...(moment.killAt !== undefined && { KILL_AT: String(moment.killAt) }) };
    const args = [script, job, join(folder, name), target, String(maxShardBytes)];
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stdout.once("data", () => {
      if (moment.killAfter !== undefined) setTimeout(() => child.kill("SIGKILL"), moment.killAfter);
    });
    child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
    child.on("error", fail);
    child.on("close", (code, signal) => {
      if (code !== 0 && signal !== "SIGKILL") fail(new Error(`${job} failed: ${errors}`));
      else done(signal === "SIGKILL");
    });
  });
}

/** Which of the pipelines the target is, after it was opened. */
async function found(): Promise<string | undefined> {
  (await openPipeline(target)).dispose();
  return wanted.get(fingerprint(target));
}

describe.each(["save", "convert"])("A %s over an existing folder that is killed", (job) => {
  it(
    `leaves the old pipeline or the new one, after SIGKILL at ${KILLS} moments`,
    async () => {
      const random = keyedRandom(SEED, `kills of ${job}`);
      rmSync(join(folder, "models"), { recursive: true, force: true });
      mkdirSync(target, { recursive: true });
      cpSync(join(folder, "first"), target, { recursive: true });
      writeFileSync(join(target, "notes.md"), "the user's own");
      let [before, kills, replaced] = ["first", 0, 0];
      for (let round = 1; kills < KILLS; round++) {
        const next = PIPELINES[round % PIPELINES.length]!;
        const moment = round % 3 === 0 ? { killAfter: random.uniform() * 30 } : { killAt: 1 + random.integer(150) };
        if (await save(job, next, moment)) kills++;
        const now = await found();
        expect([before, next.name]).toContain(now);
        if (now === next.name) replaced++;
        before = now!;
      }
      // Otherwise the moments would all lie before the exchange, or after it.
      expect(replaced).toBeGreaterThan(0);

      await save(job, PIPELINES[1]);
      expect(await found()).toBe("second");
      expect(readFileSync(join(target, "notes.md"), "utf8")).toBe("the user's own");
      // The last save swept what the killed ones left.
      expect(readdirSync(join(target, ".."))).toEqual(["target"]);
    },
    60_000 + KILLS * 6_000,
  );
});

it("two converts into one folder, of which one is killed, leave the other's", async () => {
  rmSync(join(folder, "models"), { recursive: true, force: true });
  const [killed] = await Promise.all([save("convert", PIPELINES[0], { killAt: 40 }), save("convert", PIPELINES[1])]);
  expect(killed).toBe(true);
  expect(await found()).toBe("second");
}, 60_000);
