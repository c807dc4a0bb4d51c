/**
 * `npm run lint`: the types of everything, tests too, then eslint, then prettier; all of them, to report all at once.
 */
import { node } from "./run.mjs";

const checks = [
  ["node_modules/typescript/bin/tsc", "-p", "tsconfig.test.json"],
  ["node_modules/eslint/bin/eslint.js", "--max-warnings", "0", "."],
  ["node_modules/prettier/bin/prettier.cjs", "--check", "--log-level", "warn", "."],
];

let failed = false;
for (const check of checks) failed = (await node(check)) !== 0 || failed;
process.exitCode = failed ? 1 : 0;
