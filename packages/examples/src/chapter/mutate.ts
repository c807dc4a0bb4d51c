/**
 * Are a chapter's checks able to fail? Changes single tokens of its derivation, one at a time, and executes each
 * changed chapter: a mutant is caught if a check fails, the program throws, or it never ends. Keeps the score in
 * chapters/mutants, from where it goes on the chapter's page.
 *
 *     npm run mutate -- 2              30 mutants of chapter 2, drawn at random
 *     npm run mutate -- 2 --count 0    all of them
 *     npm run mutate -- 2 --seed 7     other ones; they are not kept
 *     npm run mutate -- 2 --line 120   all mutants of line 120; they are not kept
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { keyedRandom, permutation } from "@tfjs-diffusion/schedulers";
import ts from "typescript";
import { parseCells } from "./cells.js";
import { ChapterError, NoChapterError } from "./errors.js";
import { mutate, MutantRunner } from "./mutants.js";
import { mutationsOf, type Mutation } from "./mutations.js";
import { findChapter, SOURCES } from "./run.js";
import { derivationDigest, writeScore } from "./score.js";

const DEFAULT_SEED = 1;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string", default: "30" },
    seed: { type: "string", default: String(DEFAULT_SEED) },
    line: { type: "string" },
  },
});
const name = chapterOf(positionals[0] ?? "1");
const [count, seed] = [values.count, values.seed].map(Number) as [number, number];
if (!(Number.isSafeInteger(count) && count >= 0))
  throw new RangeError(`--count ${values.count}: give a whole number; 0 means all.`);

const file = join(SOURCES, `${name}.ts`);
const program = ts.createProgram([file], {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  skipLibCheck: true,
  strict: true,
});
const source = program.getSourceFile(file)!;
const { text } = source;
const cells = parseCells(text, `${name}.ts`);
const types = program.getTypeChecker();
const typeOf = (node: ts.Expression) =>
  types.typeToString(types.getBaseTypeOfLiteralType(types.getTypeAtLocation(node)));
const all = mutationsOf(source, cells, (a, b) => typeOf(a) === typeOf(b));
const sample = values.line
  ? all.filter(({ line }) => line === Number(values.line))
  : drawn(all, count || all.length, seed);

const runner = new MutantRunner();
const start = performance.now();
const unchanged = await runner.run({ name, text }, 600_000);
if (unchanged.fate !== "survived") {
  runner.close();
  throw new ChapterError(`Chapter ${name} fails before it is changed: ${unchanged.message ?? unchanged.fate}`);
}
const limitMs = 20_000 + 5 * (performance.now() - start);
console.log(`${name}: ${sample.length} of ${all.length} mutants`);

const survivors: Mutation[] = [];
for (const mutation of sample) {
  const { fate, message } = await runner.run({ name, text: mutate(text, mutation) }, limitMs);
  if (fate === "survived") survivors.push(mutation);
  const how = { check: message, error: `throws: ${message}`, time: "never ends", survived: "nothing notices" }[fate];
  console.log(`${fate === "survived" ? "✗" : "✓"} ${name}.ts:${mutation.line}: ${mutation.change}\n    ${how}`);
}
runner.close();

const caught = sample.length - survivors.length;
console.log(`\n${name}: ${caught} of ${sample.length} mutants caught`);
for (const { line, change } of survivors) console.log(`  survived: ${name}.ts:${line}: ${change}`);
if (!values.line && seed === DEFAULT_SEED) {
  writeScore(name, {
    caught,
    mutants: sample.length,
    of: all.length,
    survivors: survivors.map(({ line, change }) => `${line}: ${change}`),
    digest: derivationDigest(cells),
  });
}

/** A random choice, in the order of the lines. */
function drawn(all: readonly Mutation[], count: number, seed: number): Mutation[] {
  const order = permutation(all.length, keyedRandom(seed));
  return Array.from(order.slice(0, count))
    .sort((i, j) => i - j)
    .map((i) => all[i]!);
}

/** The chapter of that number or name; ends the program if there is none. */
function chapterOf(word: string): string {
  try {
    return findChapter(word);
  } catch (error) {
    if (!(error instanceof NoChapterError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}
