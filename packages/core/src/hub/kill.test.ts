import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { keyedRandom } from "@tfjs-diffusion/schedulers";
import { bundleScript } from "../testing/bundle-script.js";
import { FakeHub } from "./testing/fake-hub.js";

/** Kills of downloads. The long form: `KILLS=200 npm run jest -- packages/core/src/hub/kill.test.ts`. */
const KILLS = Number(process.env.KILLS ?? 8);
const SEED = Number(process.env.KILL_SEED ?? 0);

const WEIGHTS = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251));
const FILES = { "config.json": '{"_class_name": "UNet2DModel"}', "diffusion_pytorch_model.safetensors": WEIGHTS };

let scripts: string;
let hub: FakeHub;
beforeAll(async () => {
  scripts = await mkdtemp(join(tmpdir(), "killed downloads "));
  await symlink(resolve(import.meta.dirname, "../../node_modules"), join(scripts, "node_modules"), "junction");
  bundleScript(join(import.meta.dirname, "testing/download-once.ts"), join(scripts, "download-once.mjs"));
  hub = await FakeHub.start(FILES);
}, 60_000);
afterAll(async () => {
  await hub.stop();
  await rm(scripts, { recursive: true });
});

/** Downloads in a process of its own, which kills itself in the middle of change `killAt` to the file system. */
function download(home: string, killAt?: number): Promise<{ folder: string; isKilled: boolean }> {
  const env = {
    ...process.env,
    HF_HOME: home,
    HF_ENDPOINT: hub.endpoint,
    HF_TOKEN: "hf_t",
    ...(killAt !== undefined && { KILL_AT: String(killAt) }),
  };
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(scripts, "download-once.mjs")], { env });
    let [folder, errors] = ["", ""];
    child.stdout.on("data", (data: Buffer) => (folder += data.toString()));
    child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
    child.on("error", fail);
    child.on("close", (code, signal) => {
      if (code !== 0 && signal !== "SIGKILL") fail(new Error(`The download failed: ${errors}`));
      else done({ folder, isKilled: signal === "SIGKILL" });
    });
  });
}

/** The finished files of the cache, by their hashes. */
async function finished(home: string): Promise<string[]> {
  const blobs = join(home, "hub/models--owner--name/blobs");
  const names = (await readdir(blobs).catch(() => [])).filter((name) => /^[0-9a-f]+$/.test(name));
  for (const name of names) {
    const bytes = await readFile(join(blobs, name));
    const isLarge = name.length === 64;
    const hash = createHash(isLarge ? "sha256" : "sha1")
      .update(isLarge ? "" : `blob ${bytes.length}\0`)
      .update(bytes);
    expect(hash.digest("hex")).toBe(name);
  }
  return names;
}

it(
  `A download that is killed at ${KILLS} moments leaves no torn file, and the next one completes it`,
  async () => {
    const random = keyedRandom(SEED, "kills of downloads");
    for (let kills = 0; kills < KILLS;) {
      const home = await mkdtemp(join(scripts, "home "));
      for (let isKilled = true; isKilled;) {
        const killAt = kills < KILLS ? 1 + random.integer(50) : undefined;
        const end = await download(home, killAt);
        isKilled = end.isKilled;
        if (isKilled) kills++;
        const names = await finished(home);
        if (isKilled) continue;
        expect(names).toHaveLength(2);
        for (const [path, contents] of Object.entries(FILES))
          expect(Buffer.from(contents).equals(await readFile(join(end.folder, path)))).toBe(true);
      }
      await rm(home, { recursive: true });
    }
  },
  60_000 + KILLS * 6_000,
);
