/**
 * What becomes of requests whose workers are killed: `npm run bench -- killed-workers`. A server with a queue on Redis
 * and two workers gets all its requests at once. Every few seconds a worker that draws is killed, and another started.
 */
import { Queue } from "bullmq";
import { ended, hasRedis, type Program, serve, startRedis, work } from "./programs.js";
import { machine } from "./report.js";

const REQUESTS = 120;
const WORKERS = 2;
/** How many workers are killed, one after the other, and the time between. */
const KILLED = [0, 4];
const SECONDS_BETWEEN = 3;

interface Outcome {
  seconds: number;
  answered: number;
  /** Different pictures among the answers: each request has its own seed. */
  pictures: number;
  /** Jobs that a second worker took over. */
  takenOver: number;
  /** The longest time that a request took, in seconds. */
  longest: number;
}

/** Prints a row without a killed worker, and one with four. */
export async function measureKilledWorkers(): Promise<void> {
  if (!hasRedis()) throw new Error("No redis-server is installed here (Debian: apt-get install redis-server).");
  console.log(`${machine()}; ${REQUESTS} requests at once, portraits of 10 steps, ${WORKERS} workers\n`);
  console.log("killed   answered   pictures   taken over   seconds   longest s");
  for (const killed of KILLED) {
    const { answered, pictures, takenOver, seconds, longest } = await outcomeWith(killed);
    const cells: [string | number, number][] = [
      [killed, 6],
      [answered, 11],
      [pictures, 11],
      [takenOver, 13],
      [seconds.toFixed(1), 10],
      [longest.toFixed(1), 12],
    ];
    console.log(cells.map(([cell, width]) => String(cell).padStart(width)).join(""));
  }
}

async function outcomeWith(killed: number): Promise<Outcome> {
  const redis = await startRedis();
  const limits = ["--waiting", `${REQUESTS}`, "--waiting-of-one", `${REQUESTS}`];
  const server = await serve(limits, { REDIS_URL: redis.url });
  const workers = await Promise.all(Array.from({ length: WORKERS }, () => work(redis.url)));
  const queue = new Queue("tfjs-diffusion", { connection: { url: redis.url } });
  try {
    const began = performance.now();
    const since = () => (performance.now() - began) / 1000;
    const requests = Array.from({ length: REQUESTS }, async (_, seed) => {
      const png = await draw(server.at, seed);
      return { png, seconds: since() };
    });
    await killSome(workers, killed, redis.url);
    const answers = await Promise.all(requests);
    const jobs = await queue.getCompleted();
    return {
      seconds: since(),
      answered: answers.filter(({ png }) => png !== undefined).length,
      pictures: new Set(answers.map(({ png }) => png)).size,
      takenOver: jobs.filter(({ stalledCounter }) => stalledCounter > 0).length,
      longest: Math.max(...answers.map(({ seconds }) => seconds)),
    };
  } finally {
    await queue.close();
    await Promise.all([server, ...workers].map(ended));
    await redis.stop();
  }
}

/** Kills the oldest worker so often, and starts another each time. */
async function killSome(workers: Program[], killed: number, redis: string): Promise<void> {
  for (let i = 0; i < killed; i++) {
    await new Promise((resolve) => setTimeout(resolve, SECONDS_BETWEEN * 1000));
    workers.shift()!.child.kill("SIGKILL");
    workers.push(await work(redis));
  }
}

/** The picture in base64; undefined for any answer but a picture. */
async function draw(at: string, seed: number): Promise<string | undefined> {
  const answer = await fetch(`${at}/sdapi/v1/txt2img`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ prompt: "a smiling woman with a red hat", seed, steps: 10 }),
  });
  if (!answer.ok) return undefined;
  const { images } = (await answer.json()) as { images: string[] };
  return images.length === 1 ? images[0] : undefined;
}
