import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { bundleScript } from "../testing/bundle-script.js";
import { TINY_METHODS } from "./testing/tiny-methods.js";

/**
 * Number of kills in a test run. A long run: `KILLS=1000 npm run jest -- packages/core/src/training/kill.test.ts`.
 */
const KILLS = Number(process.env.KILLS ?? 30);
const SEED = Number(process.env.KILL_SEED ?? 0);

let folder: string;
let script: string;
let expected: ReturnType<typeof results>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kill-"));
  script = join(folder, "killed-run.mjs");
  bundleScript(join(import.meta.dirname, "testing/killed-run.ts"), script);

  const whole = newRun("whole");
  expect(await start(whole)).toMatchObject({ code: 0, steps: 120 });
  expected = results(whole);
  expect(expected.rows).toHaveLength(121);
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true }));

function newRun(name: string): string {
  mkdirSync(join(folder, name));
  return join(folder, name);
}

interface End {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Steps this process finished. */
  steps: number;
  errors: string;
}

interface Moment {
  /** One of the tiny methods. Default: a tiny network. */
  method?: string;
  /** Milliseconds after the first step. */
  killAfter?: number;
  signal?: NodeJS.Signals;
  /** Or in the middle of this file operation, counted from 1. */
  killAt?: number;
}

/** Runs the training in the folder `run`, and kills it at the given moment. */
function start(run: string, { method, killAfter, signal = "SIGKILL", killAt }: Moment = {}): Promise<End> {
  return new Promise((done, fail) => {
    const env = { ...process.env, ...(killAt !== undefined && { KILL_AT: String(killAt) }) };
    const child = spawn(process.execPath, [script, run, ...(method === undefined ? [] : [method])], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let [output, errors] = ["", ""];
    child.stdout.on("data", (data: Buffer) => {
      if (output === "" && killAfter !== undefined) setTimeout(() => child.kill(signal), killAfter);
      output += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
    child.on("error", fail);
    child.on("close", (code, signal) => done({ code, signal, steps: output.split("\n").length - 1, errors }));
  });
}

/** Weights, averages, moments and settings, byte by byte, and each step's loss, gradient norm and learning rate. */
function results(run: string) {
  const log = readFileSync(join(run, "log.csv"), "utf8").trimEnd().split("\n");
  return {
    checkpoint: readFileSync(join(run, "checkpoint.safetensors")).toString("base64"),
    rows: log.map((row) => row.split(",").slice(0, 4).join(",")),
  };
}

describe("a training that is killed", () => {
  it(
    `ends with the same bytes as without kills, after SIGKILL at ${KILLS} random moments`,
    async () => {
      const random = keyedRandom(SEED, "kills");
      let kills = 0;
      for (let round = 0; kills < KILLS; round++) {
        const run = newRun(`killed-${round}`);
        for (let finished = false; !finished;) {
          const moment = kills % 2 === 0 ? { killAfter: random.uniform() * 60 } : { killAt: 1 + random.integer(60) };
          const end = await start(run, kills < KILLS ? moment : {});
          if (end.code) throw new Error(`After ${kills} kills the training failed:\n${end.errors}`);
          finished = end.code === 0;
          if (!finished) kills++;
        }
        expect(results(run)).toEqual(expected);
        rmSync(run, { recursive: true });
      }
      expect(kills).toBe(KILLS);
    },
    120_000 + KILLS * 6_000,
  );

  it.each(Object.keys(TINY_METHODS))(
    "is one of any method: %s",
    async (method) => {
      const whole = newRun(`${method}-whole`);
      expect(await start(whole, { method })).toMatchObject({ code: 0, steps: 6 });
      const run = newRun(`${method}-killed`);
      const random = keyedRandom(SEED, "kills", method);
      let kills = 0;
      for (;;) {
        const end = await start(run, { method, killAt: kills < 3 ? 1 + random.integer(12) : undefined });
        if (end.code === 0) break;
        expect(end).toMatchObject({ signal: "SIGKILL" });
        kills++;
      }
      expect(kills).toBeGreaterThan(0);
      expect(results(run)).toEqual(results(whole));
    },
    120_000,
  );

  // Windows has no SIGKILL.
  const itWithSignals = process.platform === "win32" ? it.skip : it;
  itWithSignals(
    "saves and exits with 130 on Ctrl-C, and continues from the same step",
    async () => {
      const run = newRun("interrupted");
      const end = await start(run, { killAfter: 20, signal: "SIGINT" });
      expect(end).toMatchObject({ code: 130, signal: null });
      expect(end.steps).toBeLessThan(120);
      expect(end.errors).toContain(`Training stopped after step ${end.steps} of 120. It is saved in`);
      expect(await start(run)).toMatchObject({ code: 0, steps: 120 - end.steps });
      expect(results(run)).toEqual(expected);
    },
    120_000,
  );
});
