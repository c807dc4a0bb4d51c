import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { type ChapterReport, readReports, reportsTable, writeReport } from "./report.js";

const report = (by: string, chapter: string): ChapterReport => ({
  chapter,
  by,
  at: "2026-12-01T10:00:00.000Z",
  whole: chapter === "01-a",
  exercises: [
    { name: "one", state: "right" },
    { name: "two", state: "right" },
    { name: "three", state: "todo" },
  ],
});

it("Reports are read from a folder of folders, one line each, and other files are named", () => {
  const folder = mkdtempSync(join(tmpdir(), "reports-"));
  try {
    writeReport(join(folder, "later", "zoe.json"), report("Zoe", "01-a"));
    writeReport(join(folder, "ada 2.json"), report('Ada, "the first"', "02-b"));
    writeReport(join(folder, "ada 1.json"), report('Ada, "the first"', "01-a"));
    writeReport(join(folder, "formula.json"), report("=1+1", "01-a"));
    mkdirSync(join(folder, "empty"));
    for (const [name, text] of [
      ["broken.json", "{"],
      ["other.json", '{"a": 1}'],
      ["notes.txt", "no"],
    ] as const)
      writeFileSync(join(folder, name), text);
    const { reports, others } = readReports(folder);
    expect(others).toEqual(["broken.json", "other.json"]);
    expect(reportsTable(reports).split("\n")).toEqual([
      "name,chapter,at,all checks held,right,predicted,wrong,to do",
      "'=1+1,01-a,2026-12-01T10:00:00.000Z,yes,2,0,0,1",
      '"Ada, ""the first""",01-a,2026-12-01T10:00:00.000Z,yes,2,0,0,1',
      '"Ada, ""the first""",02-b,2026-12-01T10:00:00.000Z,no,2,0,0,1',
      "Zoe,01-a,2026-12-01T10:00:00.000Z,yes,2,0,0,1",
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(() => readReports(folder)).toThrow("There is no folder");
});
