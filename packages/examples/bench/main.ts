/**
 * How fast the backends are on this machine: `npm run bench [-- part of a workload's name ...] [--rounds 8]`.
 *
 * Each runner is a process of its own. They take turns, and the best of each counts: what else the machine does only ever
 * adds time, and what counts is the ratio within one run.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Answer } from "./runner.js";
import { RATIOS, WORKLOADS } from "./workloads.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "8" } },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  throw new RangeError(`--rounds must be a whole number from 1, not ${values.rounds}.`);
const names = Object.keys(WORKLOADS).filter(
  (name) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);

interface Runner {
  label: string;
  child: ChildProcess;
  detail: string;
  flop: number;
  steps?: number;
  best: number;
}

const CANDIDATES: [backend: string, threads: number][] = [
  ["node", 1],
  ["wasm", 1],
  ...(availableParallelism() > 1 ? [["wasm", Math.min(4, availableParallelism())] as [string, number]] : []),
  ["stock wasm", 1],
];

console.log(
  `${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores, Node ${process.version}; best of ${rounds}\n`,
);
const missing = new Set<string>();
const bests = new Map<string, Map<string, number>>();
for (const name of names) bests.set(name, await measure(name));
for (const [name, other] of RATIOS) {
  const [own, others] = [bests.get(name), bests.get(other)];
  if (!own || !others) continue;
  console.log(`${name}, times ${other}`);
  for (const [label, best] of own) console.log(`${(best / others.get(label)!).toFixed(2).padStart(6)}  ${label}`);
}
for (const reason of missing) console.log(reason);

/** Best milliseconds by runner. */
async function measure(name: string): Promise<Map<string, number>> {
  const runners: Runner[] = [];
  for (const [backend, threads] of CANDIDATES) {
    const runner = await startRunner(backend, threads, name);
    if (typeof runner === "string") missing.add(`${backend}: ${runner}`);
    else runners.push(runner);
  }
  for (let round = 0; round < rounds; round++) {
    for (const runner of runners) {
      runner.child.send("run");
      const message = await nextAnswer(runner.child);
      if (message.kind === "run") runner.best = Math.min(runner.best, message.milliseconds);
    }
  }
  const reference = runners.find(({ label }) => label === "wasm")?.best ?? NaN;
  console.log(`${name}`);
  for (const { label, detail, best, flop, steps, child } of runners) {
    const speed = steps ? `${(best / steps).toFixed(3)} ms a step` : `${(flop / best / 1e6).toFixed(1)} GFLOP/s`;
    console.log(
      `  ${label.padEnd(12)}${best.toFixed(2).padStart(9)} ms${speed.padStart(16)}` +
        `${(best / reference).toFixed(2).padStart(7)} x wasm on 1 thread  ${detail}`.trimEnd(),
    );
    child.kill();
  }
  return new Map(runners.map(({ label, detail, best }) => [`${label.padEnd(12)}  ${detail}`, best]));
}

/** A runner that is ready, or why it cannot be. */
async function startRunner(backend: string, threads: number, name: string): Promise<Runner | string> {
  const file = fileURLToPath(new URL("runner.js", import.meta.url));
  const child = fork(file, [backend, String(threads), name], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: "2" },
  });
  const message = await nextAnswer(child);
  if (message.kind === "ready")
    return { label: backend, child, detail: message.detail, flop: message.flop, steps: message.steps, best: Infinity };
  child.kill();
  return message.kind === "failed" ? `${name}: ${message.reason}` : "no answer";
}

async function nextAnswer(child: ChildProcess): Promise<Answer> {
  const ended = new AbortController();
  const exit = once(child, "exit", { signal: ended.signal }).then((): Answer => ({
    kind: "failed",
    reason: "the process ended",
  }));
  const message = once(child, "message", { signal: ended.signal }).then(([answer]) => answer as Answer);
  exit.catch(() => undefined);
  message.catch(() => undefined);
  const first = await Promise.race([message, exit]);
  ended.abort();
  return first;
}
