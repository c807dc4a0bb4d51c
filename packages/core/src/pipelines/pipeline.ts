import type * as tf from "@tensorflow/tfjs";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { SaveOptions } from "../weights/model-folder.js";
import type { CommonOptions } from "./options/common-options.js";
import type { OptionTable } from "./options/option.js";
import type { Drawn, PipelineStep } from "./pipeline-step.js";

/** What a pipeline draws from: texts, a picture, the number of a class, or nothing but noise. */
export type PipelineInput = "text" | "image" | "class" | "nothing";

/** What all pipelines have in common. */
export interface Pipeline<Options = CommonOptions, Step extends PipelineStep<tf.Tensor> = PipelineStep<tf.Tensor>> {
  /** What it draws from. */
  readonly input: PipelineInput;
  /** The options that `generate` and `steps` take, with their defaults. */
  readonly options: OptionTable;
  /** Networks, tokenizers and schedulers. */
  readonly parts: object;
  /** Its own sampler, which the option `scheduler` takes the place of. */
  readonly scheduler: Scheduler;
  /**
   * Draws.
   *
   * @throws PipelineOptionError before any work, for options that are unknown, out of range or do not fit each other
   */
  generate(options: Options): Promise<Drawn>;
  /** The same, one step at a time, to look at or to stop early: leaving the loop frees everything. */
  steps(options: Options): AsyncGenerator<Step, void, undefined>;
  /** Writes a folder that `openPipeline` reads; `save` halves the precision, splits large files. */
  savePretrained(folder: string, save?: SaveOptions): Promise<void>;
  /** Frees the weights of all networks. */
  dispose(): void;
}
