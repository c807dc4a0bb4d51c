import type { ScaleOptions } from "@observablehq/plot";
import { loadPlot, plotSvg } from "../src/plot-svg.js";

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

const [HEIGHT, MARGIN_TOP, MARGIN_BOTTOM] = [340, 34, 30];
/** Pixels from one name's line of text to the next. */
const LABEL_HEIGHT = 12;

/** A chart as an SVG file: a line through the points of each name, which stands at its end. */
export async function lineChart(points: readonly ChartPoint[], { title, x, y }: ChartForm): Promise<string> {
  const Plot = await loadPlot();
  const line = { x: "x", y: "y", stroke: "name" };
  return plotSvg({
    ...{ width: 640, height: HEIGHT, marginTop: MARGIN_TOP, marginRight: 150, marginBottom: MARGIN_BOTTOM },
    x,
    y,
    marks: [
      Plot.line(points, { ...line, strokeWidth: 1.7 }),
      Plot.dot(points, { ...line, fill: "name", r: 2.5 }),
      ...endLabels(points, y).map(({ end, dy }) =>
        Plot.text([end], { ...{ x: "x", y: "y", text: "name", fill: "name" }, textAnchor: "start", dx: 8, dy }),
      ),
      Plot.text([title], { frameAnchor: "top", dy: -14, fontSize: 13 }),
    ],
  });
}

/**
 * The last point of each line, and by how many pixels its name is moved down, so that names of lines that end together
 * stand below each other.
 */
function endLabels(points: readonly ChartPoint[], { type, domain, zero }: ScaleOptions) {
  const place = type === "log" ? Math.log : (value: number) => value;
  const [low, high] = (domain as [number, number] | undefined) ?? [
    Math.min(...points.map(({ y }) => y), zero ? 0 : Infinity),
    Math.max(...points.map(({ y }) => y)),
  ];
  const scale = (HEIGHT - MARGIN_TOP - MARGIN_BOTTOM) / (place(high) - place(low));
  const ends = [...new Map(points.map((point) => [point.name, point])).values()].sort((a, b) => b.y - a.y);
  let lowest = -Infinity;
  return ends.map((end) => {
    const pixel = (place(high) - place(end.y)) * scale;
    lowest = Math.max(pixel, lowest + LABEL_HEIGHT);
    return { end, dy: lowest - pixel };
  });
}
