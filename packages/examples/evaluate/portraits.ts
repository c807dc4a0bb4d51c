/**
 * Measures a portraits model on prompts of a second grammar, with the judge that has learned nothing: seen and held-out
 * combinations, pairs of hat and hair, bare words, what is not named, and how clean plain backgrounds are.
 *
 *   npm run eval:portraits                                    the shipped model, guidance 3 and 7, 10 and 20 steps
 *   npm run eval:portraits -- --model runs/portraits-2/model --prompts 1000
 *   npm run eval:portraits -- --real                          the judge on real pictures
 *
 * Results are kept in `results.json`, in --out, and a stopped run resumes; the tables are written to `results.md`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { useBackend } from "@tfjs-diffusion/core";
import { packagePath } from "../src/package-folder.js";
import { countOption, guidanceOption, listOption, scriptOptions, stepsOption } from "../train/script-options.js";
import { requestsMarkdown } from "./request-report.js";
import { judgeReal, measureRequests } from "./request-scores.js";
import { REQUESTS, type RequestSet } from "./requests.js";
import { openSampler } from "./sampler.js";
import { fingerprint, ResultStore } from "./store.js";

const { options } = scriptOptions({
  model: { type: "string", default: packagePath("weights", "portraits") },
  out: { type: "string", default: "out/eval-portraits" },
  prompts: { type: "string", default: "100" },
  guidance: { type: "string", default: "3,7" },
  steps: { type: "string", default: "10,20" },
  batch: { type: "string", default: "50" },
  real: { type: "boolean", default: false },
  backend: { type: "string" },
});
const count = countOption("prompts", options.prompts);

if (options.real) {
  console.log(judgeReal(count));
} else {
  const guidances = listOption("guidance", options.guidance, guidanceOption);
  const settings = listOption("steps", options.steps, stepsOption).flatMap((steps) =>
    guidances.map((guidance) => ({ guidance, steps })),
  );
  const { name: backend } = await useBackend(options.backend);
  const { sample, dispose } = await openSampler(options.model);
  mkdirSync(options.out, { recursive: true });
  const store = new ResultStore(join(options.out, "results.json"), fingerprint(options.model));
  const context = { sample, store, batch: countOption("batch", options.batch) };
  for (const setting of settings) {
    for (const name of Object.keys(REQUESTS) as RequestSet[]) await measureRequests(context, name, count, setting);
  }
  dispose();
  const markdown = await requestsMarkdown(store, count, settings, `npm run eval:portraits, backend ${backend}`);
  writeFileSync(join(options.out, "results.md"), markdown);
  console.log(`\n${markdown}\nWritten to ${options.out}.`);
}
