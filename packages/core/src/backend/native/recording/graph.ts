import type * as Fs from "node:fs";
import type * as Os from "node:os";
import type * as Path from "node:path";
import type { RecordedProgram } from "../../../nn/recorded.js";
import { importInNode } from "../../../platform/node-only.js";
import { NotRecordableError, type Program } from "../../program.js";
import type { Binding, Output } from "../binding.js";
import { describeGraph, GRAPH_TAG, type Node, savedModel, type Source } from "./graph-def.js";

/** Writes a graph to a file in a folder of its own, from which `read` reads it, and removes both. */
export type GraphFile = (content: Uint8Array, read: (folder: string) => void) => void;

/** Files in the system's folder for temporary files: TensorFlow reads graphs from files only. */
export async function temporaryGraphFile(): Promise<GraphFile> {
  const fs = await importInNode<typeof Fs>("node:fs");
  const { tmpdir } = await importInNode<typeof Os>("node:os");
  const { join } = await importInNode<typeof Path>("node:path");
  return (content, read) => {
    const folder = fs.mkdtempSync(join(tmpdir(), "tfjs-diffusion-graph-"));
    try {
      fs.writeFileSync(join(folder, "saved_model.pb"), content);
      read(folder);
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  };
}

/**
 * A computation as one graph, which TensorFlow runs without returning to JavaScript in between.
 *
 * @throws NotRecordableError if the file cannot be written, or TensorFlow refuses the graph
 */
export class Graph implements Program<number, Output> {
  readonly #session: number;
  /** The indices of the given tensors that it reads. */
  readonly #read: readonly number[];
  /** The names of placeholders and results in the graph. */
  readonly #placeholderNames: string;
  readonly #resultNames: string;

  constructor(
    private readonly binding: Binding,
    file: GraphFile,
    private readonly placeholders: readonly Node[],
    private readonly results: readonly Source[],
  ) {
    const model = savedModel(binding, placeholders, results);
    let session = 0;
    try {
      file(model.bytes, (folder) => (session = binding.loadSavedModel(folder, GRAPH_TAG)));
    } catch (error) {
      throw new NotRecordableError((error as Error).message, { cause: error });
    }
    this.#session = session;
    this.#read = [...model.placeholders.keys()];
    this.#placeholderNames = [...model.placeholders.values()].join();
    this.#resultNames = model.results.join();
  }

  /** A tensor for each placeholder -> the results, which the caller owns. */
  run(ids: readonly number[]): Output[] {
    const given = this.#read.map((i) => ids[i]!);
    return this.binding.runSavedModel(this.#session, given, this.#placeholderNames, this.#resultNames);
  }

  describe(): RecordedProgram {
    return describeGraph(this.binding, this.placeholders, this.results);
  }

  dispose(): void {
    this.binding.deleteSavedModel(this.#session);
  }
}
