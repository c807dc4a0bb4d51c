import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { NoChapterError } from "./errors.js";
import type { Attempt } from "./exercise.js";

/** How far somebody is with a chapter: what a teacher collects. */
export interface ChapterReport {
  readonly chapter: string;
  /** Who ran it, as they say themselves; may be empty. */
  readonly by: string;
  /** When, in UTC. */
  readonly at: string;
  /** Every check of the chapter held. */
  readonly whole: boolean;
  readonly exercises: readonly Pick<Attempt, "name" | "state">[];
}

/** Writes a report, by default where `collectReports` looks. */
export function writeReport(file: string, report: ChapterReport): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}

/** Reads all reports in a folder and its subfolders, by name and chapter; files that are no reports are named. */
export function readReports(folder: string): { reports: ChapterReport[]; others: string[] } {
  let files: string[];
  try {
    files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".json"));
  } catch {
    throw new NoChapterError(`There is no folder "${folder}". Give the folder that holds the collected reports.`);
  }
  const read = files.sort().map((file) => ({ file, report: parseReport(readFileSync(join(folder, file), "utf8")) }));
  const order = ({ by, chapter }: ChapterReport) => `${by}\n${chapter}`;
  return {
    reports: read.flatMap(({ report }) => report ?? []).sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    others: read.filter(({ report }) => !report).map(({ file }) => file),
  };
}

function parseReport(text: string): ChapterReport | undefined {
  try {
    const { chapter, by, at, whole, exercises } = JSON.parse(text) as ChapterReport;
    const isReport = [chapter, by, at].every((part) => typeof part === "string") && Array.isArray(exercises);
    return isReport ? { chapter, by, at, whole, exercises } : undefined;
  } catch {
    return undefined;
  }
}

const STATES = ["right", "predicted", "wrong", "todo"] as const;

/** Reports as a table for a spreadsheet (CSV): a line for each person and chapter. */
export function reportsTable(reports: readonly ChapterReport[]): string {
  const lines = reports.map(({ chapter, by, at, whole, exercises }) => {
    const counts = STATES.map((state) => exercises.filter((exercise) => exercise.state === state).length);
    return [by, chapter, at, whole ? "yes" : "no", ...counts].map(cell).join(",");
  });
  return [
    ["name", "chapter", "at", "all checks held", "right", "predicted", "wrong", "to do"].join(","),
    ...lines,
  ].join("\n");
}

/** Quoted where a comma, a quote or a new line is in it; an apostrophe before what a spreadsheet would compute. */
function cell(value: string | number): string {
  const text = typeof value === "string" ? value.replace(/^(?=[=+\-@])/, "'") : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
