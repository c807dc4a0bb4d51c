/** Servers and workers as programs of their own, with a queue on Redis between them. */
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Queue } from "bullmq";
import { ended, hasRedis, type OwnRedis, type Program, serve, startRedis, work } from "../../../bench/programs.js";

const isInstalled = hasRedis();
if (!isInstalled)
  console.warn("No redis-server here: the tests of the queue on Redis are left out (apt-get install redis-server).");

const PROMPT = "a smiling woman with a red hat";

(isInstalled ? describe : describe.skip)("A server with workers on Redis", () => {
  let redis: OwnRedis;
  let server: Program;
  const workers: Program[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    server = await serve(["--waiting", "100", "--waiting-of-one", "100"], { REDIS_URL: redis.url });
  });
  afterAll(async () => {
    await Promise.all([...workers, server].map(ended));
    await redis.stop();
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
    workers.push(...(await Promise.all([work(redis.url), work(redis.url)])));
    // One picture of each seed, drawn while both live, to compare with.
    const seeds = Array.from({ length: 12 }, (_, i) => i);
    const drawn = seeds.map((seed) => draw({ seed, steps: 8 }));
    const queue = new Queue("tfjs-diffusion", { connection: { url: redis.url } });
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
    const queue = new Queue("tfjs-diffusion", { connection: { url: redis.url } });
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
