import type { Attribute } from "../datasets/faces/index.js";
import type { EvaluationSettings } from "./context.js";
import type { CellScores, EvaluationResults } from "./run.js";
import type { Estimate } from "./score.js";
import { percent } from "../src/percent.js";

/** The results as Markdown tables. Every table says what was drawn and how often. */
export function reportMarkdown(
  results: EvaluationResults,
  settings: EvaluationSettings,
  { backend, command }: { backend: string; command: string },
): string {
  const { chosen, grid, reported, pictures, unconditional } = results;
  const setting = `guidance ${chosen.guidance}, DDIM ${chosen.steps} steps`;
  return `# Faces: does the model draw what is asked?

Command: \`${command}\` (backend ${backend}). A classifier reads the drawn pictures. It was
trained on real pictures only. Only attributes that the prompt mentions are scored.

## Reported: ${setting}, ${settings.prompts} fresh prompts a row, ${settings.seeds.length} sampling seeds

The 95 % interval is in brackets (bootstrap over prompts).

| prompts | attributes as requested | pictures with all of them | pairs held out of training |
|---|---|---|---|
${reported.map((cell) => `| ${title(cell)} | ${interval(cell.scores.mean)} | ${interval(cell.scores.allRight)} | ${cell.pairs ? interval(cell.pairs) : ""} |`).join("\n")}

| attribute | ${reported.map(title).join(" | ")} |
|---|${reported.map(() => "---|").join("")}
${settings.kind.attributes.map((name) => `| ${name} | ${reported.map(({ scores }) => share(scores.attributes[name])).join(" | ")} |`).join("\n")}

Most common mistakes (requested → drawn, times):

${reported.map((cell) => `- ${title(cell)}: ${mistakes(cell)}`).join("\n")}

## Choosing: ${settings.gridPrompts} other prompts a cell, one seed

| guidance | steps | ${reported.map(title).join(" | ")} |
|---|---|${reported.map(() => "---|").join("")}
${gridRows(grid)}

Each cell: attributes as requested / pictures with all of them.

## Does it copy?

The table shows the distance to the nearest of ${settings.trainingPictures} training pictures (root mean square, 1 is
from black to white). It also shows the share of pixels within 12 / 255 of a colour that real pictures have.

| pictures | 5 % quantile | median | pixels in the palette |
|---|---|---|---|
${(["generated", "real"] as const).map((kind) => `| ${kind} | ${pictures.nearest[kind].map((d) => d.toFixed(3)).join(" | ")} | ${percent(pictures.nearPalette[kind])} |`).join("\n")}

## Without a prompt

${settings.prompts} pictures were drawn from the empty prompt. For each attribute, the table gives the total variation
between the shares of its values and those of the training data. The column "real" gives the same for as many real
pictures.

| attribute | samples | real | shares of values: samples (data) |
|---|---|---|---|
${settings.kind.attributes.map((name) => unconditionalRow(name, unconditional)).join("\n")}
`;
}

const share = (estimate: Estimate | undefined) => (estimate ? percent(estimate.share) : "");
const interval = ({ share, low, high }: Estimate) =>
  `${percent(share)} (${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})`;
const title = ({ split, style }: Pick<CellScores, "split" | "style">) => `${split}, ${style}`;

const mistakes = (cell: CellScores) =>
  cell.mistakes.map(({ attribute, asked, drawn, count }) => `${attribute} ${asked} → ${drawn} ${count}`).join(", ") ||
  "none";

/** A row for each way of drawing, a column for each split and style. */
export function scoreTable(rows: readonly { title: string; cells: readonly CellScores[] }[]): string {
  const columns = rows[0]!.cells;
  return [
    `| | ${columns.map(title).join(" | ")} |`,
    `|---|${columns.map(() => "---|").join("")}`,
    ...rows.map((row) => `| ${row.title} | ${row.cells.map(bothShares).join(" | ")} |`),
  ].join("\n");
}

const bothShares = ({ scores }: CellScores) => `${percent(scores.mean.share)} / ${percent(scores.allRight.share)}`;

function gridRows(grid: readonly CellScores[]): string {
  const rows = new Map<string, string[]>();
  for (const cell of grid) {
    const key = `| ${cell.guidance} | ${cell.steps}`;
    rows.set(key, [...(rows.get(key) ?? []), bothShares(cell)]);
  }
  return [...rows].map(([key, cells]) => `${key} | ${cells.join(" | ")} |`).join("\n");
}

function unconditionalRow(
  name: Attribute,
  { shares, dataShares, distance }: EvaluationResults["unconditional"],
): string {
  const values = Object.keys(dataShares[name]).map(
    (value) => `${value} ${percent(shares[name][value]!)} (${percent(dataShares[name][value]!)})`,
  );
  return `| ${name} | ${percent(distance[name].samples)} | ${percent(distance[name].real)} | ${values.join(", ")} |`;
}
