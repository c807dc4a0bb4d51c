/**
 * Measures how much time recording networks saves: `npm run bench -- recorder`, see main.ts. One process does the same
 * work in turns with and without recording. The result is the median of the pairs' ratios, also in processor time,
 * which depends little on other work of the machine.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { nativeThreads } from "./measure.js";
import type { Comparison } from "./recorder-runner.js";
import { machine, markdownTable } from "./report.js";
import { percent } from "../src/percent.js";

export async function measureRecorder(
  backend: string,
  threadCounts: readonly number[],
  rounds: number,
  parts: readonly string[],
): Promise<void> {
  const rows: string[][] = [];
  for (const threads of threadCounts) {
    await compare(backend, threads, rounds, parts, ({ name, wall, processor }) => {
      rows.push([name, `${threads}`, ...[wall, processor].flatMap(describe)]);
      console.log(rows.at(-1)!.join("  "));
    });
  }
  const head = ["workload", "threads"];
  for (const clock of ["wall", "processor"]) head.push(`${clock}, off`, `${clock}, on`, "saved", "middle half");
  console.log(`\n${machine()}, load ${loadavg()[0]!.toFixed(1)}; ${backend}; medians of ${rounds} pairs, ms\n`);
  console.log(markdownTable(head, rows, [0]));
}

/** Runs in its own process, because the number of threads is fixed when a backend starts. */
async function compare(
  backend: string,
  threads: number,
  rounds: number,
  parts: readonly string[],
  done: (comparison: Comparison) => void,
): Promise<void> {
  const file = fileURLToPath(new URL("recorder-runner.js", import.meta.url));
  const env = { ...process.env, ...nativeThreads(threads) };
  const child = fork(file, [backend, `${threads}`, `${rounds}`, ...parts], { env });
  child.on("message", (comparison) => done(comparison as Comparison));
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`The run on ${backend} with ${threads} threads ended with ${code}.`);
}

/** Medians of either, and the median and quartiles of what a pair saves. */
function describe(pairs: readonly (readonly [off: number, on: number])[]): string[] {
  const saved = pairs.map(([off, on]) => 1 - on / off);
  return [
    ...([0, 1] as const).map((i) =>
      quantile(
        pairs.map((pair) => pair[i]),
        0.5,
      ).toFixed(1),
    ),
    percent(quantile(saved, 0.5)),
    `${percent(quantile(saved, 0.25))} to ${percent(quantile(saved, 0.75))}`,
  ];
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!];
  return low + (high - low) * (at % 1);
}
