/** Servers and workers as programs of their own, with a queue on Redis between them. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { ended, type Program, serve, work } from "./testing/programs.js";

const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;
if (!hasRedis)
  console.warn("No redis-server here: the tests of the queue on Redis are left out (apt-get install redis-server).");

const PROMPT = "a smiling woman with a red hat";

(hasRedis ? describe : describe.skip)("A server with workers on Redis", () => {
  let folder: string;
  let redis: ChildProcess;
  let url: string;
  let server: Program;
  const workers: Program[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "redis-"));
    const port = await freePort();
    url = `redis://127.0.0.1:${port}`;
    redis = spawn("redis-server", ["--port", `${port}`, "--save", "", "--dir", folder], { stdio: "ignore" });
    await answering(url);
    server = await serve(["--waiting", "100", "--waiting-of-one", "100"], { REDIS_URL: url });
  });
  afterAll(async () => {
    await Promise.all([...workers, server].map(ended));
    redis.kill();
    await once(redis, "exit");
    await rm(folder, { recursive: true, force: true });
  });

  const draw = (body: object, signal?: AbortSignal) =>
    fetch(`${server.at}/sdapi/v1/txt2img`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: PROMPT, ...body }),
      ...(signal && { signal }),
    });

  it("says that no worker is there", async () => {
    const health = await fetch(`${server.at}/health`);
    expect([health.status, await health.json()]).toMatchObject([503, { status: "no worker" }]);
    expect((await draw({})).status).toBe(503);
  });

  it("draws on two workers, loses nothing when one is killed, and draws nothing twice", async () => {
    workers.push(...(await Promise.all([work(url), work(url)])));
    // One picture of each seed, drawn while both live, to compare with.
    const seeds = Array.from({ length: 12 }, (_, i) => i);
    const drawn = seeds.map((seed) => draw({ seed, steps: 8 }));
    const queue = new Queue("tfjs-diffusion", { connection: { url } });
    while ((await queue.getJobCounts("active")).active !== 2) await pause();
    workers[0]!.child.kill("SIGKILL");
    const answers = await Promise.all(drawn);
    expect(answers.map(({ status }) => status)).toEqual(seeds.map(() => 200));
    const pictures = await Promise.all(answers.map(async (answer) => (await answer.json()) as { images: string[] }));
    expect(pictures.map(({ images }) => images.length)).toEqual(seeds.map(() => 1));
    expect(new Set(pictures.map(({ images }) => images[0])).size).toBe(seeds.length);
    expect(await queue.getJobCounts("completed", "failed", "active", "waiting")).toEqual({
      completed: seeds.length,
      failed: 0,
      active: 0,
      waiting: 0,
    });
    // The job of the killed worker was begun twice, and finished once.
    const jobs = await queue.getCompleted();
    expect(jobs.filter(({ stalledCounter }) => stalledCounter > 0)).toHaveLength(1);
    await queue.close();
  });

  it("tells the client what is wrong with a drawing", async () => {
    const answer = await draw({ width: 33, height: 32 });
    expect([answer.status, await answer.text()]).toEqual([422, expect.stringContaining("multiple")]);
  });

  it("stops a drawing whose client has gone", async () => {
    const abort = new AbortController();
    const queue = new Queue("tfjs-diffusion", { connection: { url } });
    const answer = draw({ steps: 100, batch_size: 10 }, abort.signal);
    const outcome = expect(answer).rejects.toThrow();
    while ((await queue.getJobCounts("active")).active !== 1) await pause();
    abort.abort();
    await outcome;
    while ((await queue.getJobCounts("active")).active !== 0) await pause();
    const [failed] = await queue.getFailed();
    expect(failed!.failedReason).toMatch(/client has gone/);
    await queue.close();
  });

  it("ends a worker after its drawing", async () => {
    const worker = workers[1]!;
    const drawing = draw({ steps: 20 });
    await pause(200);
    const code = await ended(worker);
    expect([code, (await drawing).status]).toEqual([0, 200]);
  });
});

const pause = (milliseconds = 10) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function answering(url: string): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.on("error", () => undefined);
  await redis.ping();
  redis.disconnect();
}
