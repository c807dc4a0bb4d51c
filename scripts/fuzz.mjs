/**
 * The long fault campaign: `npm run fuzz -- --minutes 60 [--seed 1]`. All mutants with stored verdicts, then random
 * configs, options, hubs and sizes until the minutes are over, then kills of saves, converts, downloads and trainings,
 * and at last 1,000 steps, drawings that end early and a full memory on every backend that is here. Each part also runs
 * in `npm test`, for a few seconds. Prints the attempts of each part and their outcomes.
 */
import { parseArgs } from "node:util";
import { spawnSync } from "node:child_process";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string", default: "0" } },
});
const [minutes, seed] = [Number(values.minutes), Number(values.seed)];
if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  console.error("fuzz: --minutes takes a number above 0, and --seed a whole number.");
  process.exit(2);
}

/**
 * In an hour: 500 kills, of saves, converts, downloads and trainings, in about half of it; the stored verdicts in ten
 * minutes; and the rest for random campaigns, as many minutes as they are told.
 */
const kills = Math.ceil((minutes * 500) / 60 / 4);
const env = {
  ...process.env,
  FUZZ_MINUTES: String(minutes / 4),
  FUZZ_SEED: String(seed),
  KILLS: String(kills),
  KILL_SEED: String(seed),
};
const jest = [
  ...["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"],
  ...["--silent=false", "--verbose", "-w", "1"],
];
const fuzz = ["reference", "configs", "limits", "hub", "options"].map((name) => `testing/fuzz/${name}`);
const killed = ["pipelines/files", "hub", "training"].map((folder) => `${folder}/kill`);

let failures = 0;
const ending = ["pipelines/endurance", "backend/native/memory-guard", "backend/wasm/memory-guard"];
for (const test of [...fuzz, ...killed, ...ending]) {
  const { status } = spawnSync(process.execPath, [...jest, `packages/core/src/${test}.test.ts`], {
    env,
    stdio: "inherit",
  });
  if (status !== 0) failures++;
}
process.exit(failures > 0 ? 1 : 0);
