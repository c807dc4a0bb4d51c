import type * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { SaveOptions } from "../weights/model-folder.js";
import type { CommonOptions } from "./options/common-options.js";
import type { OptionTable } from "./options/option.js";
import type { Drawn, PipelineStep } from "./pipeline-step.js";

/** What a pipeline draws from: text, a picture, a class, or only noise. */
export type PipelineInput = "text" | "image" | "class" | "nothing";

/** What all pipelines have in common. */
export interface Pipeline<Options = CommonOptions, Step extends PipelineStep<tf.Tensor> = PipelineStep<tf.Tensor>> {
  /** What the pipeline draws from. */
  readonly input: PipelineInput;
  /** The options that `generate` and `steps` take, with their defaults. */
  readonly options: OptionTable;
  /** Networks, tokenizers and schedulers. */
  readonly parts: object;
  /** The pipeline's own scheduler; the option `scheduler` replaces it for one call. */
  readonly scheduler: Scheduler;
  /**
   * Draws pictures. The caller owns both tensors.
   *
   * @throws PipelineOptionError before any work, for options that are unknown, out of range or do not fit each other
   */
  generate(options: Options): Promise<Drawn>;
  /** Draws one step at a time, to watch it or to stop early. Leaving the loop frees everything. */
  steps(options: Options): AsyncGenerator<Step, void, undefined>;
  /** Writes a folder that `openPipeline` reads; `save` can halve the precision and split large files. */
  savePretrained(folder: string, save?: SaveOptions): Promise<void>;
  /** Frees the weights of all networks. */
  dispose(): void;
}
