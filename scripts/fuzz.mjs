/**
 * The long fault campaign: `npm run fuzz -- --minutes 60 [--seed 1]`. All mutants with stored verdicts, then random
 * configs, options, hubs and sizes until the minutes are over, then kills of saves, converts, downloads and trainings.
 * Each part also runs in `npm test`, for a few seconds. Prints the attempts of each part and their outcomes.
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

/** Of an hour, the random campaigns take 30 minutes, and 500 kills about 20; the rest are the stored verdicts. */
const kills = Math.ceil((minutes * 500) / 4 / 60); // In each of four tests: save, convert, download, training.
const env = {
  ...process.env,
  FUZZ_MINUTES: String(minutes / 2),
  FUZZ_SEED: String(seed),
  KILLS: String(kills),
  KILL_SEED: String(seed),
};
const jest = [
  ...["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js"],
  ...["--silent=false", "--verbose", "-w", "1"],
];
const tests = [
  "packages/core/src/testing/fuzz",
  ...["pipelines/files", "hub", "training"].map((folder) => `packages/core/src/${folder}/kill.test.ts`),
];
process.exit(spawnSync(process.execPath, [...jest, ...tests], { env, stdio: "inherit" }).status ?? 1);
