/** Measures how fast the backends are on this machine, compared with ONNX Runtime. */
import { rm } from "node:fs/promises";
import { RATIOS, WORKLOADS } from "./workloads.js";
import { measureCard } from "./card.js";
import { measureFullSize } from "./full-size.js";
import { measureGrowth } from "./growth.js";
import { measureKilledWorkers } from "./killed-workers.js";
import { measureOverhead } from "./overhead.js";
import { measureRecorder } from "./recorder.js";
import { candidatesFor, type Measured, measure } from "./measure.js";
import { prepareReferences } from "./prepare.js";
import { measureServer } from "./server.js";
import { readArguments, refuse } from "./usage.js";
import { comparison, machine, print, writeComparison } from "./report.js";

const HELP = `Measures how fast the backends are on this machine, compared with ONNX Runtime.

  npm run bench                         all workloads; words after -- choose those whose names contain one
  npm run bench -- growth               how cost grows, as a table and docs/public/growth.svg
  npm run bench -- overhead             what a pass costs besides its kernels, and a step besides its gradients
  npm run bench -- recorder [WORD …]    what recording networks saves
  npm run bench -- card                 a graphics card's times, share of its peak, largest batches
  npm run bench -- server               requests that the image server answers
  npm run bench -- killed-workers       what becomes of requests whose workers are killed (needs redis-server)
  npm run bench -- full-size            Stable Diffusion 1.5 at its full size

  --rounds N         how often each runner has its turn (default 8)
  --backend NAME     default: webgpu for card, wasm for the others, all for the workloads
  --threads N        for recorder; may be repeated (default 1 and 2)
  --folder FOLDER    for full-size: where the weights are
  --peak N           for card: its TFLOP/s by its data sheet
  --write            put the table into docs/benchmarks.md

Each runner is a separate process. They run in turns, and the best time of each counts, because other work on the
machine only adds time. Only ratios within one run are meaningful.
`;

const { values, positionals } = readArguments(HELP, {
  backend: { type: "string" },
  rounds: { type: "string", default: "8" },
  write: { type: "boolean", default: false },
  folder: { type: "string" },
  peak: { type: "string" },
  threads: { type: "string", multiple: true },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1)
  refuse(`--rounds must be a whole number, 1 or more, not ${values.rounds}.`);
if (positionals[0] !== "full-size" && values.folder !== undefined) refuse("--folder is for full-size.");
if (positionals[0] !== "recorder" && values.threads !== undefined) refuse("--threads is for recorder.");
if (positionals[0] === "full-size") await measureFullSize(values.backend, values.folder);
else if (positionals[0] === "server") await measureServer(values.backend ?? "wasm");
else if (positionals[0] === "killed-workers") await measureKilledWorkers();
else if (positionals[0] === "card")
  await measureCard(
    values.backend ?? "webgpu",
    rounds,
    values.peak === undefined ? undefined : Number(values.peak),
    values.write,
  );
else if (positionals[0] === "growth") await measureGrowth(rounds, values.write);
else if (positionals[0] === "recorder")
  await measureRecorder(
    values.backend ?? "wasm",
    (values.threads ?? ["1", "2"]).map(Number),
    rounds,
    positionals.slice(1),
  );
else if (positionals[0] === "overhead") await measureOverhead(rounds, values.write);
else await compare(positionals);

async function compare(parts: string[]): Promise<void> {
  const names = Object.keys(WORKLOADS).filter(
    (name) => parts.length === 0 || parts.some((part) => name.includes(part)),
  );
  if (names.length === 0) refuse(`No workload is called ${parts.join(" or ")}.`);

  console.log(`${machine()}; best of ${rounds}\n`);
  const references = await prepareReferences(names);
  const missing = new Set<string>();
  const results = new Map<string, Measured[]>();
  try {
    for (const name of names) {
      results.set(name, await measure(name, candidatesFor(name, values.backend), rounds, references, missing));
      print(name, results.get(name)!);
    }
  } finally {
    if (references) await rm(references, { recursive: true, force: true });
  }
  for (const [name, other] of RATIOS) {
    const [own, others] = [results.get(name), results.get(other)];
    if (!own || !others) continue;
    console.log(`${name}, times ${other}`);
    for (const { label, best } of own) {
      const beside = others.find((result) => result.label === label);
      if (beside) console.log(`${(best / beside.best).toFixed(2).padStart(6)}  ${label}`);
    }
  }
  for (const reason of missing) console.log(reason);
  const table = comparison(results);
  if (table) console.log(`\n${table}`);
  if (values.write && table) writeComparison(table, rounds);
}
