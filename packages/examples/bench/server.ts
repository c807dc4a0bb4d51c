/**
 * How many requests the image server answers: `npm run bench -- server`. autocannon asks it over HTTP, as many clients
 * at once: one, as many as the queue has room for, and ten times as many.
 */
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { ended, serve } from "./programs.js";
import { machine } from "./report.js";

/** Requests that wait at most; one more is drawn. */
const WAITING = 32;
const CLIENTS = [1, 4, WAITING, 10 * WAITING];
const SECONDS = 20;
const BODY = JSON.stringify({ prompt: "a smiling woman with a red hat", steps: 10 });

/** The part of autocannon's result that is used; times in milliseconds. */
interface Load {
  duration: number;
  latency: { p50: number; p99: number };
  "2xx": number;
  errors: number;
  timeouts: number;
  statusCodeStats: Readonly<Record<string, { count: number }>>;
}

/** Prints a row for each number of clients. */
export async function measureServer(backend: string): Promise<void> {
  const limits = ["--waiting", `${WAITING}`, "--waiting-of-one", `${WAITING}`];
  const server = await serve(["--backend", backend, ...limits]);
  console.log(`${machine()}; ${backend}, portraits of 10 steps, ${SECONDS} s each, at most ${WAITING} waiting\n`);
  console.log("clients   drawn/s   p50 s   p99 s   drawn      429   others   lost");
  try {
    await load(server.at, 1, 3); // Warms up.
    for (const clients of CLIENTS) console.log(row(clients, await load(server.at, clients, SECONDS)));
  } finally {
    await ended(server);
  }
}

async function load(at: string, clients: number, seconds: number): Promise<Load> {
  const program = createRequire(import.meta.url).resolve("autocannon");
  const args = ["-c", `${clients}`, "-d", `${seconds}`, "-t", "60", "-m", "POST", "-j", "-n"];
  const request = ["-H", "content-type=application/json", "-b", BODY, `${at}/sdapi/v1/txt2img`];
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args, ...request]);
  return JSON.parse(stdout) as Load;
}

function row(clients: number, { duration, latency, errors, timeouts, statusCodeStats, ...others }: Load): string {
  const drawn = others["2xx"];
  const refused = statusCodeStats["429"]?.count ?? 0;
  const all = Object.values(statusCodeStats).reduce((sum, { count }) => sum + count, 0);
  // With refusals, the times are mostly theirs.
  const time = (milliseconds: number) => (refused > 0 ? "–" : (milliseconds / 1000).toFixed(2));
  const cells: [string | number, number][] = [
    [clients, 7],
    [(drawn / duration).toFixed(1), 10],
    [time(latency.p50), 8],
    [time(latency.p99), 8],
    [drawn, 8],
    [refused, 9],
    [all - drawn - refused, 9],
    [errors + timeouts, 7],
  ];
  return cells.map(([cell, width]) => String(cell).padStart(width)).join("");
}
