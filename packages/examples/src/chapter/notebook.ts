import { plainText, type Output } from "./output.js";
import type { Run } from "./run.js";
import { mimeBundle } from "./sink.js";

/**
 * An executed chapter as a Jupyter notebook with its outputs (nbformat 4.5,
 * https://nbformat.readthedocs.io/en/latest/format_description.html). Every viewer shows it. To run it, use the Deno
 * kernel, which runs TypeScript, in a folder from which the chapter's imports resolve.
 */
export function renderNotebook({ cells, outputs }: Run): object {
  let count = 0;
  return {
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {
      kernelspec: { name: "deno", display_name: "Deno", language: "typescript" },
      language_info: { name: "typescript", file_extension: ".ts", mimetype: "text/x.typescript" },
    },
    cells: cells.map((cell, k) =>
      cell.kind === "markdown"
        ? { id: `cell-${k}`, cell_type: "markdown", metadata: {}, source: sourceLines(linkNotebooks(cell.text)) }
        : {
            id: `cell-${k}`,
            cell_type: "code",
            metadata: cell.folded ? { jupyter: { source_hidden: true } } : {},
            execution_count: ++count,
            source: sourceLines(cell.source),
            outputs: outputs[k]!.map(renderOutput),
          },
    ),
  };
}

function renderOutput(output: Output): object {
  return output.kind === "text" || output.kind === "check"
    ? { output_type: "stream", name: "stdout", text: sourceLines(`${plainText(output)}\n`) }
    : { output_type: "display_data", data: mimeBundle(output), metadata: {} };
}

/** On the site a chapter links to the next chapter's page; in a notebook, to the next notebook. */
function linkNotebooks(markdown: string): string {
  return markdown.replace(/\]\(\.\/(\d\d-[\w-]+)\.md\)/g, "](./$1.ipynb)");
}

/** Text as the format wants it: a list of lines, each but the last with its line end. */
function sourceLines(text: string): string[] {
  return text.split(/(?<=\n)/);
}
