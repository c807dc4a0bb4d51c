/** Something that a chapter shows. Terminal, page and notebook each decide how it looks. */
export type Output =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "table";
      readonly columns: readonly string[];
      readonly rows: readonly (readonly string[])[];
      readonly caption: string;
    }
  | { readonly kind: "plot"; readonly svg: string; readonly narrow: string; readonly caption: string }
  | { readonly kind: "image"; readonly png: Uint8Array; readonly caption: string }
  | { readonly kind: "check"; readonly text: string }
  | { readonly kind: "exercise"; readonly state: ExerciseState; readonly text: string };

/** How far a reader is with an exercise. A prediction that is off is no mistake. */
export type ExerciseState = "right" | "predicted" | "wrong" | "todo";
const MARKS: Record<ExerciseState, string> = { right: "✓", predicted: "→", wrong: "✗", todo: "·" };

/** Where outputs go, in the order in which they are shown. */
export type Sink = (output: Output) => void;

/** An output as plain text; for pictures, only the caption. */
export function plainText(output: Output): string {
  switch (output.kind) {
    case "text":
      return output.text;
    case "check":
      return `✓ ${output.text}`;
    case "exercise":
      return `${MARKS[output.state]} ${output.text}`;
    case "table":
      return textTable(output.columns, output.rows, output.caption);
    default:
      return `[${output.caption}]`;
  }
}

function textTable(columns: readonly string[], rows: readonly (readonly string[])[], caption: string): string {
  const widths = columns.map((name, k) => Math.max(name.length, ...rows.map((row) => row[k]!.length)));
  const line = (cells: readonly string[]) => cells.map((cell, k) => cell.padStart(widths[k]!)).join("  ");
  return [caption, line(columns), widths.map((width) => "-".repeat(width)).join("  "), ...rows.map(line)].join("\n");
}

/** A table as HTML. */
export function tableHtml(output: Extract<Output, { kind: "table" }>): string {
  const row = (tag: string, cells: readonly string[]) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join("")}</tr>`;
  return (
    `<table><caption>${escapeHtml(output.caption)}</caption>` +
    `<thead>${row("th", output.columns)}</thead><tbody>${output.rows.map((cells) => row("td", cells)).join("")}</tbody></table>`
  );
}

export function escapeHtml(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;");
}

/** A number with so many significant digits, and no zeros after them: 0.25, 1.2e-7, 1000. */
export function formatNumber(value: number, digits = 4): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(digits))) : String(value);
}
