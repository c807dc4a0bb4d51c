import type { ScaleOptions } from "@observablehq/plot";
import { loadPlot, plotSvg } from "../src/plot-svg.js";

/** A point of the line called `name`. */
export interface ChartPoint {
  name: string;
  x: number;
  y: number;
}

/** The title of a chart, and the labels and scales of its axes. */
export interface ChartForm {
  title: string;
  x: ScaleOptions;
  y: ScaleOptions;
}

const [HEIGHT, MARGIN_TOP, MARGIN_BOTTOM] = [340, 34, 30];
/** Height of a line of text, in pixels. */
const LABEL_HEIGHT = 12;

/** A chart as an SVG file: a line through the points of each name, labelled with the name at its end. */
export async function lineChart(points: readonly ChartPoint[], { title, x, y }: ChartForm): Promise<string> {
  const Plot = await loadPlot();
  const line = { x: "x", y: "y", stroke: "name" };
  return plotSvg({
    width: 640,
    height: HEIGHT,
    marginTop: MARGIN_TOP,
    marginRight: 150,
    marginBottom: MARGIN_BOTTOM,
    x,
    y,
    marks: [
      Plot.line(points, { ...line, strokeWidth: 1.7 }),
      Plot.dot(points, { ...line, fill: "name", r: 2.5 }),
      ...endLabels(points, y).map(({ end, dy }) =>
        Plot.text([end], { x: "x", y: "y", text: "name", fill: "name", textAnchor: "start", dx: 8, dy }),
      ),
      Plot.text([title], { frameAnchor: "top", dy: -14, fontSize: 13 }),
    ],
  });
}

/**
 * The last point of each line, and by how many pixels its label moves down, so that labels of lines with close ends do
 * not overlap.
 */
function endLabels(points: readonly ChartPoint[], { type, domain, zero }: ScaleOptions) {
  const position = type === "log" ? Math.log : (value: number) => value;
  const [low, high] = (domain as [number, number] | undefined) ?? [
    Math.min(...points.map(({ y }) => y), zero ? 0 : Infinity),
    Math.max(...points.map(({ y }) => y)),
  ];
  const scale = (HEIGHT - MARGIN_TOP - MARGIN_BOTTOM) / (position(high) - position(low));
  const ends = [...new Map(points.map((point) => [point.name, point])).values()].sort((a, b) => b.y - a.y);
  let lowest = -Infinity;
  return ends.map((end) => {
    const pixel = (position(high) - position(end.y)) * scale;
    lowest = Math.max(pixel, lowest + LABEL_HEIGHT);
    return { end, dy: lowest - pixel };
  });
}
