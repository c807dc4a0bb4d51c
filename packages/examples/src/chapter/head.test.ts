import { readdirSync } from "node:fs";
import { expect, it } from "@jest/globals";
import { packagePath } from "../package-folder.js";
import type { Cell } from "./cells.js";
import { ChapterError } from "./errors.js";
import { withHead } from "./head.js";

const CELLS: Cell[] = [
  { kind: "markdown", line: 1, text: "# A title\n\nText." },
  { kind: "code", line: 5, source: "1 + 1;" },
];

it("every chapter says what it needs and how long it takes, at the end of its first cell", () => {
  const names = readdirSync(packagePath("chapters"))
    .filter((file) => /^\d\d-.*\.ts$/.test(file))
    .map((file) => file.slice(0, -3));
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    const [first, ...rest] = withHead(name, names, CELLS);
    expect(first).toMatchObject({
      text: expect.stringMatching(/^# A title\n\nText\.\n\nYou need .* about \d+ seconds\.$/),
    });
    expect(rest).toEqual(CELLS.slice(1));
  }
});

it("links to the chapters that are needed", () => {
  const [first] = withHead("03-ddpm-and-ddim", ["01-one", "02-two", "03-ddpm-and-ddim"], CELLS);
  expect(first).toMatchObject({
    text: expect.stringContaining("You need chapters [1](./01-one.md) and [2](./02-two.md)."),
  });
});

it.each<[string, string, string[]]>([
  ["without a head", "77-new", ["77-new"]],
  ["that needs one that is not there", "03-ddpm-and-ddim", ["01-one", "03-ddpm-and-ddim"]],
])("refuses a chapter %s", (_, name, names) => {
  expect(() => withHead(name, names, CELLS)).toThrow(ChapterError);
});
