import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { plainText, tableHtml, type Output, type Sink } from "./output.js";

let sink: Sink | undefined;

/** Shows an output: records it if the chapter is being rendered, and prints it otherwise. */
export function emit(output: Output): void {
  sink ??= notebookSink() ?? terminalSink();
  sink(output);
}

/** From now on all outputs go to `next`. */
export function redirectOutput(next: Sink): void {
  sink = next;
}

/** Runs `run`, and throws away what it shows. */
export async function withoutOutput(run: () => Promise<unknown>): Promise<void> {
  const before = sink;
  sink = () => {};
  try {
    await run();
  } finally {
    sink = before;
  }
}

/**
 * Prints outputs. Plots and pictures become files under out/chapters/<chapter>, and their paths are printed.
 *
 * @param print receives one output's text
 */
export function terminalSink(
  chapter = basename(process.argv[1] ?? "chapter").replace(/\.[jt]s$/, ""),
  print: (text: string) => void = console.log,
): Sink {
  const folder = join(process.cwd(), "out", "chapters", chapter);
  let count = 0;
  return (output) => {
    if (output.kind !== "plot" && output.kind !== "image") return print(plainText(output));
    const file = join(folder, `${++count}.${output.kind === "plot" ? "svg" : "png"}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, output.kind === "plot" ? output.svg : output.png);
    print(`${plainText(output)} ${relative(process.cwd(), file)}`);
  };
}

/** An output for a notebook, in several media types; the notebook shows the best type that it supports. */
export function mimeBundle(output: Output): Record<string, string> {
  const text = { "text/plain": plainText(output) };
  switch (output.kind) {
    case "plot":
      return { "image/svg+xml": output.svg, ...text };
    case "image":
      return { "image/png": Buffer.from(output.png).toString("base64"), ...text };
    case "table":
      return { "text/html": tableHtml(output), ...text };
    default:
      return text;
  }
}

interface DenoJupyter {
  broadcast(type: "display_data", content: object): Promise<void>;
}

/** In a notebook of the Deno kernel, outputs are drawn in place. */
function notebookSink(): Sink | undefined {
  const jupyter = (globalThis as { Deno?: { jupyter?: DenoJupyter } }).Deno?.jupyter;
  if (!jupyter) return undefined;
  return (output) => {
    void jupyter.broadcast("display_data", { data: mimeBundle(output), metadata: {}, transient: {} });
  };
}
