/**
 * The long fault campaign: `npm run fuzz -- --minutes 60 [--seed 1]`. Mutated files, configs and options, then kills of
 * saves and trainings. Each part also runs in `npm test`, for a few seconds.
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

const env = {
  ...process.env,
  FUZZ_MINUTES: String(minutes / 2),
  FUZZ_SEED: String(seed),
  KILLS: String(Math.ceil(minutes * 5)), // About two seconds each, in three tests.
  KILL_SEED: String(seed),
};
const jest = [
  "--experimental-vm-modules",
  "--no-warnings",
  "node_modules/jest/bin/jest.js",
  "--silent=false",
  "-w",
  "1",
];
const tests = ["packages/core/src/testing/fuzz.test.ts", "files/kill.test.ts", "training/kill.test.ts"];
process.exit(spawnSync(process.execPath, [...jest, ...tests], { env, stdio: "inherit" }).status ?? 1);
