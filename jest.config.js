/** Tests run on the TypeScript sources as ES modules; swc only strips the types. */
export default {
  testMatch: ["<rootDir>/packages/*/**/*.test.ts", "<rootDir>/scripts/**/*.test.mjs"],
  testPathIgnorePatterns: ["/node_modules/", "/dist/"],
  modulePathIgnorePatterns: ["/dist/"],
  extensionsToTreatAsEsm: [".ts"],
  testEnvironment: "<rootDir>/scripts/jest-environment.cjs",
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { target: "es2022", parser: { syntax: "typescript" } }, module: { type: "es6" } },
    ],
  },
  moduleNameMapper: {
    "^@tfjs-diffusion/(schedulers|core)$": "<rootDir>/packages/$1/src/index.ts",
    "^@tfjs-diffusion/core/([a-z]+)$": "<rootDir>/packages/core/src/$1/index.ts",
    "^(\\.{1,2}/.*)\\.js$": "$1",
  },
  setupFiles: ["<rootDir>/scripts/jest-quiet.mjs"],
  testTimeout: 60_000,
  maxWorkers: "100%", // Tests take one thread each; Jest would leave a core idle.
};
