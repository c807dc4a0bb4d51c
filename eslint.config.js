import js from "@eslint/js";
import prettier from "eslint-config-prettier";
import globals from "globals";
import tseslint from "typescript-eslint";

const WRITTEN_BY_TOOLS = [
  "**/dist/",
  "docs/.vitepress/cache/",
  "docs/api/",
  "docs/chapters/",
  "docs/public/bench/",
  "out/",
  "runs/",
  "coverage/",
];
const ASSEMBLY_SCRIPT = "packages/core/assembly/"; // Looks like TypeScript, and has other types.

export default tseslint.config(
  { ignores: ["**/node_modules/", ...WRITTEN_BY_TOOLS, ASSEMBLY_SCRIPT] },
  js.configs.recommended,
  { rules: { eqeqeq: ["error", "smart"] } },
  { files: ["**/*.ts"], extends: [tseslint.configs.recommended] },
  {
    files: ["packages/**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: "./tsconfig.test.json", tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { disallowTypeAnnotations: false }],
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/require-await": "off", // What implements an asynchronous interface need not wait.
      "@typescript-eslint/unbound-method": "off", // Our options and closures use no `this`.
    },
  },
  { files: ["**/*.{js,mjs,cjs}"], languageOptions: { globals: globals.node } },
  {
    files: ["scripts/tools/**"],
    languageOptions: { globals: { ...globals.browser, ...globals.worker, ...globals.jest } },
  },
  prettier,
);
