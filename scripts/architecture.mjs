/**
 * Draws the picture of docs/architecture.md from the imports: `node scripts/architecture.mjs`. Every box is a folder
 * with all that is in it, every arrow an import that no other path of arrows implies. All arrows point down.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Graph, layout } from "@dagrejs/dagre";
import { FLOORS, importsOf, isEntry, isTest, packageOf, folderOf, sourceFiles } from "./floors.mjs";
import { root } from "./run.mjs";

export const PICTURE = join(root, "docs", "public", "architecture.svg");

const WIDTH = 360;
const MARGIN = 8;
const FONT = 11;
/** Widths of letters differ by the reader's fonts: boxes have room for a wide one. */
const LETTER = 6.4;

/** The box that a file is in: its package, and the folder that a reader of the package sees first. */
function boxOf(file) {
  const [name, ...path] = folderOf(file).split("/");
  if (path[0] === "assembly") return "backend";
  if (name === "examples") return path[0] === "src" && path[1] === "cli" ? "src/cli" : path[0];
  return path.slice(1, 2).join("") || "src";
}

/** The boxes of one package, and the imports between them without those that others imply. */
function graphOf(name) {
  const files = sourceFiles().filter((file) => packageOf(file) === name && !isTest(file) && !isEntry(file));
  const boxes = [...new Set(files.map(boxOf))].sort();
  const below = new Map(boxes.map((box) => [box, new Set()]));
  for (const [file, target] of importsOf(files)) {
    if (packageOf(target) !== name || isEntry(target) || boxOf(file) === boxOf(target)) continue;
    below.get(boxOf(file)).add(boxOf(target));
  }
  const reaches = (from, to) => [...below.get(from)].some((next) => next === to || reaches(next, to));
  const edges = [...below].flatMap(([from, targets]) =>
    [...targets]
      .filter((to) => ![...targets].some((other) => other !== to && reaches(other, to)))
      .map((to) => [from, to]),
  );
  return { boxes, edges };
}

/** Places the boxes of a package, importers above what they import. */
function placed({ boxes, edges }) {
  const graph = new Graph();
  graph.setGraph({ rankdir: "TB", nodesep: 10, ranksep: 22, edgesep: 8, ranker: "longest-path" });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const box of boxes) graph.setNode(box, { width: LETTER * box.length + 16, height: 24 });
  for (const [from, to] of edges.sort()) graph.setEdge(from, to);
  layout(graph);
  return graph;
}

const rounded = (x) => Math.round(10 * x) / 10;

/** One package as a band of the picture: [its SVG, its height]. */
function band(name, top) {
  const graph = placed(graphOf(name));
  const { width, height } = graph.graph();
  if (width > WIDTH - 2 * MARGIN) throw new Error(`The boxes of ${name} need ${width} pixels of ${WIDTH}.`);
  const [left, above] = [(WIDTH - width) / 2, top + 24];
  const arrows = graph.edges().map((edge) => {
    const points = graph.edge(edge).points.map(({ x, y }) => `${rounded(left + x)},${rounded(above + y)}`);
    return `<polyline points="${points.join(" ")}"/>`;
  });
  const boxes = graph.nodes().map((box) => {
    const { x, y, width, height } = graph.node(box);
    const [cx, cy] = [rounded(left + x), rounded(above + y)];
    return (
      `<rect x="${rounded(cx - width / 2)}" y="${rounded(cy - height / 2)}" width="${rounded(width)}" height="${height}" rx="3"/>` +
      `<text x="${cx}" y="${rounded(cy + 4)}">${box}</text>`
    );
  });
  const total = 24 + height + 10;
  const svg = [
    `<rect class="package" x="2" y="${top}" width="${WIDTH - 4}" height="${rounded(total)}" rx="5"/>`,
    `<text class="title" x="10" y="${top + 15}">packages/${name}</text>`,
    ...arrows,
    ...boxes,
  ];
  return [svg.join("\n"), total];
}

const STYLE = `
  svg { --paper: #fff; --ink: #213547; --line: #8a97a5; --box: #eef2f6; --band: #f8fafb; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #1b1b1f; --ink: #e6e9ee; --line: #74808d; --box: #32363f; --band: #232429; }
  }
  text { font: ${FONT}px ui-sans-serif, system-ui, sans-serif; fill: var(--ink); text-anchor: middle; }
  .title { font-weight: 600; text-anchor: start; }
  rect { fill: var(--box); stroke: var(--line); }
  .package { fill: var(--band); stroke: none; }
  .paper { fill: var(--paper); stroke: none; }
  polyline { fill: none; stroke: var(--line); marker-end: url(#tip); }
  #tip path { fill: var(--line); }
`;

/** The picture as SVG; the same imports give the same bytes. */
export function architecture() {
  const bands = [];
  let top = 2;
  for (const name of Object.keys(FLOORS).reverse()) {
    const [svg, height] = band(name, top);
    bands.push(svg);
    top = rounded(top + height + 6);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" role="img">
<title>The folders of the three packages; every arrow is an import, and all of them point down</title>
<style>${STYLE}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>
<rect class="paper" width="${WIDTH}" height="${top}"/>
${bands.join("\n")}
</svg>
`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) writeFileSync(PICTURE, architecture());
