import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { packagePath } from "../src/package-folder.js";

/** A command of this package that runs as a program of its own. */
export interface Program {
  child: ChildProcess;
  /** The address in what it said. */
  at: string;
}

/** Starts `diffusion serve` at a free port, on WebAssembly if `args` name no other backend. */
export function serve(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Program> {
  const backend = args.includes("--backend") ? [] : ["--backend", "wasm"];
  return start(["serve", "--port", "0", ...backend, ...args], env);
}

/** Starts `diffusion worker` on WebAssembly. */
export function work(redis: string): Promise<Program> {
  return start(["worker", "--backend", "wasm"], { REDIS_URL: redis });
}

/** Starts a command, and waits until it says where it draws. */
async function start(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Program> {
  const main = packagePath("dist", "src", "cli", "main.js");
  const { REDIS_URL: _, ...own } = process.env;
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...own, ...env },
  });
  let said = "";
  const at = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (data) => {
      said += String(data);
      const [, address] = /Drawing (?:on|for) (\S+:\d+)/.exec(said) ?? [];
      if (address !== undefined) resolve(address);
    });
    child.once("exit", () => reject(new Error(`${args[0]} did not start: ${said}`)));
  });
  return { child, at };
}

/** Asks a program to end, and returns its exit code. */
export async function ended({ child }: Program): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  return child.exitCode;
}

/** Whether Debian's package redis-server, or another Redis, is installed. */
export const hasRedis = () => spawnSync("redis-server", ["--version"]).status === 0;

/** A Redis of its own, which keeps nothing on disk. */
export interface OwnRedis {
  url: string;
  stop(): Promise<void>;
}

/** Starts a Redis at a free port, and waits until it answers. */
export async function startRedis(): Promise<OwnRedis> {
  const folder = await mkdtemp(join(tmpdir(), "redis-"));
  const port = await freePort();
  const child = spawn("redis-server", ["--port", `${port}`, "--save", "", "--dir", folder], { stdio: "ignore" });
  const url = `redis://127.0.0.1:${port}`;
  const redis = new Redis(url, { maxRetriesPerRequest: null });
  redis.on("error", () => undefined); // Until it listens.
  await redis.ping();
  redis.disconnect();
  return {
    url,
    async stop() {
      child.kill();
      await once(child, "exit");
      await rm(folder, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}
