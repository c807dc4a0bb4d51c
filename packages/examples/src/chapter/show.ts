import { format } from "node:util";
import * as Plot from "@observablehq/plot";
import { encodePng, imageGrid } from "@tfjs-diffusion/core";
import { toUnit } from "@tfjs-diffusion/core/image";
import * as tf from "@tensorflow/tfjs";
import { parseHTML } from "linkedom";
import { ChapterError } from "./errors.js";
import { formatNumber } from "./output.js";
import { emit } from "./sink.js";

/** Shows text and values, formatted as by `console.log`. */
export function show(...values: unknown[]): void {
  emit({ kind: "text", text: format(...values) });
}

/**
 * Shows rows of numbers and words under the names of their fields.
 *
 * @param options.digits how many significant digits a number keeps
 */
export function table(
  rows: readonly Readonly<Record<string, number | string>>[],
  { caption, digits = 4 }: { caption: string; digits?: number },
): void {
  const columns = Object.keys(rows[0] ?? {});
  if (columns.length === 0) throw new ChapterError(`table "${caption}": there is no row, or no column, to show.`);
  const cell = (value: number | string | undefined) =>
    typeof value === "number" ? formatNumber(value, digits) : (value ?? "");
  emit({ kind: "table", columns, rows: rows.map((row) => columns.map((name) => cell(row[name]))), caption });
}

const { document } = parseHTML("<!doctype html><html><head></head><body></body></html>");

/**
 * Widths of a plot in a page's column, and in a telephone's, with the size of its letters. Beside both sidebars the
 * column is narrower by a seventh, and letters must still be 11 pixels.
 */
const WIDE = { width: 680, letters: 13 };
const NARROW = { width: 312, letters: 12 };

/**
 * Draws a plot (https://observablehq.com/plot), for wide and for narrow columns. Name series on the plot itself: a
 * legend would not be part of it.
 */
export function plot({ caption, ...options }: Plot.PlotOptions & { caption: string }): void {
  const height = options.height ?? 360;
  const draw = (width: number, height: number, letters: number) =>
    drawSvg({ style: { fontSize: `${letters}px` }, ...options, width, height, document }, caption);
  emit({
    kind: "plot",
    svg: draw(options.width ?? WIDE.width, height, WIDE.letters),
    narrow: draw(NARROW.width, Math.min(height, NARROW.width), NARROW.letters),
    caption,
  });
}

function drawSvg(options: Plot.PlotOptions, caption: string): string {
  const figure = Plot.plot(options);
  if (figure.tagName.toLowerCase() !== "svg") {
    throw new ChapterError(
      `plot "${caption}": a title or legend makes it more than one drawing; use Plot.text and the caption.`,
    );
  }
  figure.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return figure.outerHTML;
}

/**
 * Shows pictures side by side.
 *
 * @param pictures [B, H, W, 3] in [-1, 1]; what lies outside is clipped. The caller keeps it.
 * @param options.columns pictures a row; all in one row unless given
 * @param options.scale screen pixels for a picture's pixel, a whole number
 */
export async function image(
  pictures: tf.Tensor4D,
  { caption, columns = pictures.shape[0], scale = 4 }: { caption: string; columns?: number; scale?: number },
): Promise<void> {
  const sheet = tf.tidy(() => imageGrid(toUnit(pictures), { columns, gap: 1, scale }));
  try {
    emit({ kind: "image", png: await encodePng(sheet), caption });
  } finally {
    sheet.dispose();
  }
}
