import type * as Fs from "node:fs";
import type * as Os from "node:os";
import type * as Path from "node:path";
import { importInNode } from "../../../platform/node-only.js";
import { CannotRecord, type Program } from "../../recorder.js";
import { GRAPH_TAG, type Node, savedModel, type Source } from "./graph-def.js";
import type { Binding, Output } from "../binding.js";

/** Where a graph can be laid down for TensorFlow, which reads it from a file. */
export type Shelf = (content: Uint8Array, read: (folder: string) => void) => void;

/** A file in the system's folder for temporary ones, gone when it has been read. */
export async function temporaryShelf(): Promise<Shelf> {
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
 * @throws CannotRecord where there is no place to lay it down, or TensorFlow does not take it
 */
export class Graph implements Program<number, Output> {
  readonly #session: number;
  /** Which of the tensors given it reads. */
  readonly #read: readonly number[];
  readonly #places: string;
  readonly #results: string;

  constructor(
    private readonly binding: Binding,
    shelf: Shelf,
    places: readonly Node[],
    results: readonly Source[],
  ) {
    const model = savedModel(binding, places, results);
    let session = 0;
    try {
      shelf(model.bytes, (folder) => (session = binding.loadSavedModel(folder, GRAPH_TAG)));
    } catch (error) {
      throw new CannotRecord((error as Error).message, { cause: error });
    }
    this.#session = session;
    this.#read = [...model.places.keys()];
    this.#places = [...model.places.values()].join();
    this.#results = model.results.join();
  }

  /** With a tensor for each place -> the results, which the caller owns. */
  run(ids: readonly number[]): Output[] {
    const given = this.#read.map((i) => ids[i]!);
    return this.binding.runSavedModel(this.#session, given, this.#places, this.#results);
  }

  dispose(): void {
    this.binding.deleteSavedModel(this.#session);
  }
}
