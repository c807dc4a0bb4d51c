import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, loadavg } from "node:os";
import { packagePath } from "../src/package-folder.js";
import type { Measured } from "./measure.js";
import { benchFolder } from "./packages.js";

/** The workload whose speed is taken as the peak of a thread. */
const PEAK = "matMul 1024x512x512";

export function machine(): string {
  return `${cpus()[0]?.model ?? "?"}, ${availableParallelism()} cores, Node ${process.version}`;
}

/** Prints a workload's times, each relative to wasm on one thread. */
export function print(name: string, results: Measured[]): void {
  const reference = results.find(({ label }) => label === "wasm, 1 thread")?.best ?? NaN;
  console.log(name);
  for (const { label, detail, best, flop, steps } of results) {
    const speed = steps ? `${(best / steps).toFixed(3)} ms a step` : `${(flop / best / 1e6).toFixed(1)} GFLOP/s`;
    console.log(
      `  ${label.padEnd(28)}${best.toFixed(2).padStart(9)} ms${speed.padStart(16)}` +
        `${(best / reference).toFixed(2).padStart(7)} x wasm on 1 thread  ${detail}`.trimEnd(),
    );
  }
}

/**
 * The networks' times as Markdown tables, one for each workload: forward passes beside onnxruntime's, training steps
 * beside our forward pass.
 */
export function comparison(results: ReadonlyMap<string, Measured[]>): string | undefined {
  const head = ["runner", "ms", "processor ms", "times", "GFLOP/s", "of matMul's peak", "peak MiB"];
  const tables: string[] = [];
  for (const [name, measured] of results) {
    const [network, what] = [name.split(" ")[0]!, name.split(" ").slice(1).join(" ")];
    if (what !== "forward" && what !== "train step") continue;
    const rows = measured.map((result) => {
      const { label, best, processor, flop, peakMemory } = result;
      const isOnnx = result.kind.startsWith("onnxruntime");
      const beside = isOnnx ? undefined : besideWhom(result, measured, results.get(`${network} forward`));
      return [
        label,
        best.toFixed(1),
        processor.toFixed(1),
        beside ? (best / beside.best).toFixed(2) : "",
        (flop / best / 1e6).toFixed(1),
        peakShare(result, results.get(PEAK)),
        Math.round(peakMemory).toString(),
      ];
    });
    tables.push(`**${name}**\n\n${markdownTable(head, rows, [0])}`);
  }
  return tables.length === 0 ? undefined : tables.join("\n\n");
}

/** @param words the columns with words; all others have numbers, aligned right */
export function markdownTable(head: string[], rows: string[][], words: number[]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (words.includes(i) ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

/** The time that another is compared with: the forward pass of ONNX Runtime on as many threads, or our own. */
function besideWhom({ kind, threads, label }: Measured, same: Measured[], forward: Measured[] | undefined) {
  const rival = kind === "node" ? "onnxruntime-node" : "onnxruntime-web";
  return (
    same.find((other) => other.kind === rival && other.threads === threads) ??
    (same === forward ? undefined : forward?.find((other) => other.label === label))
  );
}

/** Speed as a share of what the same kind of code reaches in a plain matrix product. */
function peakShare({ kind, threads, flop, best }: Measured, products: Measured[] | undefined): string {
  const family = /node$/.test(kind) ? "node" : "wasm";
  const peaks = products?.filter((other) => other.kind === family && other.threads === threads) ?? [];
  const peak = Math.max(...peaks.map((other) => other.flop / other.best));
  return peaks.length === 0 ? "" : `${((100 * flop) / best / peak).toFixed(0)} %`;
}

/** Puts the table between the markers of docs/benchmarks.md, with what it was measured on. */
export function writeComparison(table: string, rounds: number): void {
  const versions = JSON.parse(readFileSync(benchFolder, "utf8")) as { devDependencies: Record<string, string> };
  const tfjs = createRequire(import.meta.url)("@tensorflow/tfjs/package.json") as { version: string };
  const busy = loadavg()[0]!;
  const text =
    `${machine()}; TensorFlow.js ${tfjs.version}, ONNX Runtime ${versions.devDependencies["onnxruntime-web"]}; ` +
    `${new Date().toISOString().slice(0, 10)}; best of ${rounds}. ` +
    (busy > availableParallelism()
      ? `Other work ran on the machine meanwhile (load ${busy.toFixed(1)}): only the ratios are meaningful, not the times.`
      : "") +
    `\n\n${table}`;
  writeSection("npm run bench", text);
}

/** Puts `text` into docs/benchmarks.md, between the comment that names `command` and the next `<!-- end -->`. */
export function writeSection(command: string, text: string): void {
  const file = packagePath("..", "..", "docs", "benchmarks.md");
  const markers = new RegExp(`(<!-- ${command} -->\\n)[^]*?(<!-- end -->)`);
  const page = readFileSync(file, "utf8");
  if (!markers.test(page)) throw new Error(`${file} has lost its markers <!-- ${command} --> and <!-- end -->.`);
  writeFileSync(
    file,
    page.replace(markers, (_, begin: string, end: string) => `${begin}\n${text}\n\n${end}`),
  );
  const prettier = packagePath("..", "..", "node_modules", "prettier", "bin", "prettier.cjs");
  if (existsSync(prettier)) execFileSync(process.execPath, [prettier, "--log-level=warn", "--write", file]);
}
