import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { packagePath } from "../../../package-folder.js";

/** A command of this package that runs as a program of its own. */
export interface Program {
  child: ChildProcess;
  /** The address in what it said. */
  at: string;
}

/** Starts `diffusion serve` at a free port, on WebAssembly. */
export function serve(args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Program> {
  return start(["serve", "--port", "0", "--backend", "wasm", ...args], env);
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
