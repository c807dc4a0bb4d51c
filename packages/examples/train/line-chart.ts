import type { ScaleOptions } from "@observablehq/plot";
import { loadPlot, plotSvg } from "../src/cli/plot-svg.js";

/** A point of the line called `name`. */
export interface ChartPoint {
  name: string;
  x: number;
  y: number;
}

/** How the axes are labelled and scaled, and what the chart is called. */
export interface ChartForm {
  title: string;
  x: ScaleOptions;
  y: ScaleOptions;
}

/** A chart as an SVG file: a line through the points of each name, which stands at its end. */
export async function lineChart(points: readonly ChartPoint[], { title, x, y }: ChartForm): Promise<string> {
  const Plot = await loadPlot();
  const names = new Map(points.map((point) => [point.name, point]));
  const line = { x: "x", y: "y", stroke: "name" };
  return plotSvg({
    ...{ width: 640, height: 340, marginTop: 34, marginRight: 150 },
    x,
    y,
    marks: [
      Plot.line(points, { ...line, strokeWidth: 1.7 }),
      Plot.dot(points, { ...line, fill: "name", r: 2.5 }),
      Plot.text([...names.values()], { ...{ x: "x", y: "y", text: "name", fill: "name" }, textAnchor: "start", dx: 8 }),
      Plot.text([title], { frameAnchor: "top", dy: -14, fontSize: 13 }),
    ],
  });
}
