import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./run.mjs";

const inFolder = (folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);

/** The Markdown files that people read, relative to the repository's folder. */
const pages = [
  "README.md",
  ...[...inFolder("packages"), ...inFolder("packages/examples/datasets")].map((folder) => `${folder}/README.md`),
  ...inFolder("docs").filter((file) => file.endsWith(".md")),
];

/**
 * An HTML comment before a block, which readers do not see: `<!-- given`, code that the block takes for granted, `-->`.
 */
const BLOCK =
  /(?:^<!-- given(?<notRun>, not run:.*?)?(?: |\n(?<given>[^]*?))-->\n\n)?^```(?:ts|js)\n(?<code>[^]*?)^```$/gm;

/**
 * The TypeScript and JavaScript blocks of all pages, each with what it takes for granted: [{ where, code, isRun }].
 * A block that says why it is `not run` is only type-checked.
 */
export function documentedCode() {
  return pages.flatMap((page) => {
    const text = readOptional(join(root, page)).replace(/\r\n/g, "\n");
    return [...text.matchAll(BLOCK)].map(({ index, groups }) => ({
      where: `${page}:${text.slice(0, text.indexOf("```", index)).split("\n").length}`,
      code: `${groups.given ?? ""}${groups.code}`,
      isRun: !groups.notRun,
    }));
  });
}

/** The Python blocks of a page. */
export function documentedPython(page) {
  const text = readOptional(join(root, page)).replace(/\r\n/g, "\n");
  return [...text.matchAll(/^```python\n([^]*?)^```$/gm)].map(([, code]) => code);
}

function readOptional(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(error.code)) return "";
    throw error;
  }
}
