import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import { bundleScript } from "../testing/bundle-script.js";
import { COMMIT, FakeHub, sendFile } from "./testing/fake-hub.js";

const WEIGHTS = randomBytes(2_000_000);
const WEIGHTS_PATH = "diffusion_pytorch_model.safetensors";

let scripts: string;
let home: string;
let hub: FakeHub;

beforeAll(async () => {
  scripts = await mkdtemp(join(tmpdir(), "download-"));
  await symlink(resolve(import.meta.dirname, "../../node_modules"), join(scripts, "node_modules"), "junction");
  bundleScript(join(import.meta.dirname, "testing/download-once.ts"), join(scripts, "download-once.mjs"));
}, 60_000);
afterAll(() => rm(scripts, { recursive: true }));
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "hub-"));
  hub = await FakeHub.start({ "config.json": '{"_class_name": "UNet2DModel"}', [WEIGHTS_PATH]: WEIGHTS });
});
afterEach(async () => {
  await hub.stop();
  await rm(home, { recursive: true });
});

/** A process that downloads owner/name into the cache that all of them share. */
function start() {
  const env = { ...process.env, HF_HOME: home, HF_ENDPOINT: hub.endpoint, HF_TOKEN: "hf_t" };
  const child = spawn(process.execPath, [join(scripts, "download-once.mjs")], { env });
  let [folder, errors] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (folder += data.toString()));
  child.stderr.on("data", (data: Buffer) => (errors += data.toString()));
  const end = new Promise<{ code: number | null; folder: string; errors: string }>((done) =>
    child.on("close", (code) => done({ code, folder, errors })),
  );
  return { child, end };
}

async function expectWhole(folder: string): Promise<void> {
  expect(folder).toBe(join(home, "hub/models--owner--name/snapshots", COMMIT));
  expect(WEIGHTS.equals(await readFile(join(folder, WEIGHTS_PATH)))).toBe(true);
  const hash = createHash("sha256").update(WEIGHTS).digest("hex");
  const blobs = await readdir(join(home, "hub/models--owner--name/blobs"));
  expect(blobs).toHaveLength(2);
  expect(blobs).toContain(hash);
  expect(await readdir(join(home, "hub/.locks/models--owner--name"))).toEqual([]);
}

describe("Processes that download the same model at once", () => {
  it("all get the complete model, and only one of them downloads each file", async () => {
    // Slow enough that all have started before the first has finished.
    hub.misbehave = (request, response, { path, contents }) => {
      if (!path.endsWith(WEIGHTS_PATH)) return false;
      setTimeout(() => sendFile(request, response, contents!), 1500);
      return true;
    };
    const ends = await Promise.all([start(), start(), start()].map(({ end }) => end));
    for (const { code, folder, errors } of ends) {
      expect({ code, errors }).toEqual({ code: 0, errors: "" });
      await expectWhole(folder);
    }
    expect(hub.asked(WEIGHTS_PATH)).toHaveLength(1);
  });

  it("do not wait for a killed one, and continue with its bytes", async () => {
    const killed = start();
    hub.misbehave = (_, response, { path, contents, count }) => {
      if (!path.endsWith(WEIGHTS_PATH) || count > 0) return false;
      response.writeHead(200, { "content-length": contents!.length });
      response.write(contents!.subarray(0, 1_000_000), () => setTimeout(() => killed.child.kill("SIGKILL"), 500));
      return true;
    };
    await killed.end;
    const before = performance.now();
    const { code, folder } = await start().end;
    expect(code).toBe(0);
    // A lock whose holder cannot be checked is waited for during 20 s.
    expect(performance.now() - before).toBeLessThan(15_000);
    await expectWhole(folder);
    const [, resumed] = hub.asked(WEIGHTS_PATH);
    expect(resumed!.range).toMatch(/^bytes=[1-9]\d*-$/);
  });
});
