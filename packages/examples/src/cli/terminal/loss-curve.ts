import { readFile, writeFile } from "node:fs/promises";
import { loadPlot, plotSvg } from "../../plot-svg.js";

interface LoggedStep {
  readonly step: number;
  readonly loss: number;
}

/** Reads a training log of `train({ log })`; throws a SyntaxError that names the line that is not one of its rows. */
export function parseLog(csv: string): LoggedStep[] {
  const [header = "", ...lines] = csv.trimEnd().split(/\r?\n/);
  const columns = header.split(",");
  const [stepColumn, lossColumn] = [columns.indexOf("step"), columns.indexOf("loss")];
  if (stepColumn < 0 || lossColumn < 0) {
    throw new SyntaxError(
      `This is not a training log: its first line, ${JSON.stringify(header.slice(0, 80))}, lacks the columns step and loss.`,
    );
  }
  return lines.map((line, i) => {
    const fields = line.split(",");
    const row = { step: Number(fields[stepColumn] || NaN), loss: Number(fields[lossColumn] || NaN) };
    if (!Number.isFinite(row.step) || !Number.isFinite(row.loss)) {
      throw new SyntaxError(
        `Line ${i + 2} of the training log has no step and loss: ${JSON.stringify(line.slice(0, 80))}`,
      );
    }
    return row;
  });
}

/** At most `count` points, each the mean of neighbours, so that a long log does not become a huge SVG file. */
export function thinned(rows: readonly LoggedStep[], count: number): LoggedStep[] {
  const size = Math.max(1, Math.ceil(rows.length / count));
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, i) => {
    const part = rows.slice(i * size, (i + 1) * size);
    const mean = (key: keyof LoggedStep) => part.reduce((sum, row) => sum + row[key], 0) / part.length;
    return { step: mean("step"), loss: mean("loss") };
  });
}

/**
 * The loss over the steps as an SVG drawing: pale dots, and their running mean over a fiftieth of the run. Log scale.
 */
export async function lossCurve(rows: readonly LoggedStep[], caption: string): Promise<string> {
  if (rows.length === 0) throw new RangeError("The training log has no steps, so there is no loss curve to draw.");
  const Plot = await loadPlot();
  const points = thinned(rows, 800).filter(({ loss }) => loss > 0);
  const window = { k: Math.max(1, Math.ceil(points.length / 50)), anchor: "middle", reduce: "mean" } as const;
  return plotSvg({
    width: 680,
    height: 360,
    x: { label: "step" },
    y: { label: "loss", type: "log", tickFormat: "~g" },
    marks: [
      Plot.dot(points, { x: "step", y: "loss", r: 1.5, fill: "#4269d0", fillOpacity: 0.25 }),
      Plot.lineY(points, Plot.windowY(window, { x: "step", y: "loss", stroke: "#4269d0", strokeWidth: 2 })),
      Plot.text([caption], { frameAnchor: "top", dy: -12, fontSize: 13 }),
    ],
    marginTop: 32,
  });
}

/** Draws the log at `logFile` into `svgFile`. */
export async function writeLossCurve(logFile: string, svgFile: string, caption: string): Promise<void> {
  await writeFile(svgFile, await lossCurve(parseLog(await readFile(logFile, "utf8")), caption));
}
