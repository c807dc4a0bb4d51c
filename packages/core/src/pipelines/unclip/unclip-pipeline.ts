import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { SaveOptions } from "../../weights/model-folder.js";
import { draw } from "../drawing/draw.js";
import type { OptionTable } from "../options/option.js";
import { disposePipeline, fixParts } from "../parts/live-parts.js";
import type { Pipeline, PipelineInput } from "../pipeline.js";
import type { Drawn } from "../pipeline-step.js";
import type { UnCLIPDrawingOptions, UnCLIPStep } from "./unclip-options.js";
import { type UnCLIPDrawingParts, type UnCLIPSizes, unclipSizes } from "./unclip-parts.js";
import { readTextStates, type TextStates } from "./unclip-text.js";

/**
 * The base of unCLIP's pipelines: they draw pictures from CLIP image embeddings, and differ in where the embeddings
 * come from.
 */
export abstract class UnCLIPDrawingPipeline<
  P extends UnCLIPDrawingParts,
  O extends UnCLIPDrawingOptions,
> implements Pipeline<O, UnCLIPStep> {
  abstract readonly input: PipelineInput;
  abstract readonly options: OptionTable;

  /** @param parts the result of `liveParts`; a part that is assigned is used from the next call on */
  constructor(readonly parts: P) {
    fixParts(this);
  }

  /** Sizes that the parts fix. */
  protected get sizes(): UnCLIPSizes {
    return unclipSizes(this.parts);
  }

  /** The decoder's scheduler. */
  get scheduler(): Scheduler {
    return this.parts.decoderScheduler;
  }

  /**
   * Draws one step at a time, to watch it or to stop early. Leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range
   */
  abstract steps(options: O): AsyncGenerator<UnCLIPStep, void, undefined>;

  abstract savePretrained(folder: string, save?: SaveOptions): Promise<void>;

  /**
   * Draws pictures. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and `latents`, the same in [-1, 1],
   * not clipped.
   */
  async generate(options: O): Promise<Drawn> {
    return draw(this.steps(options), options);
  }

  /** The older name of `encodePrompts`: the text states of prompts; the caller owns them. */
  textStates(prompts: string[]): TextStates {
    return readTextStates(prompts, this.parts);
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    disposePipeline(this);
  }
}
