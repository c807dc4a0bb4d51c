import {
  afterAll,
  beforeAll,
  describe,
  expect,
  it,
} from "@jest/globals";
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** What `npm run docs` calls, too; `npm test` has built it. */
const examples = fileURLToPath(new URL("../", import.meta.url));
const tool = join(examples, "dist", "src", "chapter", "main.js");
const chapters = readdirSync(join(examples, "chapters"))
  .filter((file) => /^\d\d-.*\.ts$/.test(file))
  .map((file) => file.slice(0, -3));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "chapters-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const runTool = (...args: string[]) =>
  promisify(execFile)(process.execPath, [
    "--no-warnings",
    tool,
    ...args,
  ]);

describe.each(chapters)("chapter %s", (name) => {
  it("runs, with every number as the text says, and becomes a page and a notebook", async () => {
    await runTool("render", name, folder);

    const page = readFileSync(join(folder, `${name}.md`), "utf8");
    const pictures = [
      ...page.matchAll(/"(\.\/[^"?]*\.(?:png|svg))/g),
    ].map((match) => match[1]!);
    expect(pictures.length).toBeGreaterThan(0);
    expect(
      pictures.filter((file) => !existsSync(join(folder, file))),
    ).toEqual([]);
    expect(page).toContain('class="check"');
    // Readers come to open exercises, of more kinds than one.
    const exercises = [
      ...page.matchAll(/class="exercise (\w+)">· [^<:]*: ([^<]*)</g),
    ];
    expect(exercises.length).toBeGreaterThanOrEqual(3);
    expect(page).not.toMatch(/class="exercise (?!todo)/);
    expect(
      new Set(exercises.map(([, , text]) => text!.split(":")[0])).size,
    ).toBeGreaterThan(1);

    const solutions = readFileSync(
      join(folder, "solutions", `${name}.md`),
      "utf8",
    );
    expect(solutions.match(/^::::: details /gm)).toHaveLength(
      exercises.length,
    );

    const notebook = JSON.parse(
      readFileSync(
        join(examples, "dist", "chapters", `${name}.ipynb`),
        "utf8",
      ),
    ) as {
      cells: { cell_type: string; outputs?: unknown[] }[];
    };
    expect(notebook.cells[0]!.cell_type).toBe("markdown");
    expect(
      notebook.cells.flatMap(({ outputs = [] }) => outputs).length,
    ).toBeGreaterThan(pictures.length);
  }, 300_000);
});

describe("the mistakes that were tried on chapters (npm run mutate)", () => {
  const folder = join(examples, "chapters", "mutants");
  const scores = readdirSync(folder).map((file) => [
    file.replace(/\.json$/, ""),
    JSON.parse(readFileSync(join(folder, file), "utf8")) as {
      caught: number;
      mutants: number;
    },
  ]);

  it.each(scores as [string, { caught: number; mutants: number }][])(
    "are caught by the checks of %s, at least 9 of 10",
    (name, { caught, mutants }) => {
      expect(chapters).toContain(name);
      expect(caught / mutants).toBeGreaterThanOrEqual(0.9);
    },
  );
});

describe("the chapter tool", () => {
  it("lists the chapters in reading order with their titles", async () => {
    const list = JSON.parse((await runTool("list")).stdout) as {
      name: string;
      title: string;
    }[];
    expect(list.map(({ name }) => name)).toEqual([...chapters].sort());
    expect(list.every(({ title }) => title.length > 0)).toBe(true);
  });

  it("names the chapters there are when asked for one that is not", async () => {
    await expect(runTool("render", "99", folder)).rejects.toThrow(
      /no chapter "99".*01-forward-noising/,
    );
  });
});
