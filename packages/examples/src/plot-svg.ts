import type { PlotOptions } from "@observablehq/plot";

/**
 * Loads Observable Plot when it is needed: only training and measuring use it, and an installation that only draws does
 * not have it.
 */
export const loadPlot = () => import("@observablehq/plot");

/** A plot as the text of an SVG file. */
export async function plotSvg(options: PlotOptions): Promise<string> {
  const [{ plot }, { parseHTML }] = await Promise.all([loadPlot(), import("linkedom")]);
  const { document } = parseHTML("<!doctype html><html><body></body></html>");
  const figure = plot({ document, grid: true, style: { background: "white", color: "black" }, ...options });
  figure.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return `${figure.outerHTML}\n`;
}
