import { toUnit } from "../../image/to-unit.js";
import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { SaveOptions } from "../../weights/model-folder.js";
import { draw } from "../drawing/draw.js";
import type { OptionTable } from "../options/option.js";
import { disposeParts } from "../parts/dispose-parts.js";
import type { Pipeline, PipelineInput } from "../pipeline.js";
import type { Drawn } from "../pipeline-step.js";
import type { UnCLIPDrawingOptions, UnCLIPStep } from "./unclip-options.js";
import { type UnCLIPDrawingParts, type UnCLIPSizes, unclipSizes } from "./unclip-parts.js";
import { readTextStates, type TextStates } from "./unclip-text.js";

/**
 * What unCLIP's pipelines share: pictures are drawn from CLIP image embeddings, which the kinds have from different
 * sources.
 */
export abstract class UnCLIPDrawingPipeline<
  P extends UnCLIPDrawingParts,
  O extends UnCLIPDrawingOptions,
> implements Pipeline<O, UnCLIPStep> {
  abstract readonly input: PipelineInput;
  abstract readonly options: OptionTable;

  /** @param parts those of `liveParts`; what is assigned to them takes effect at the next call */
  constructor(readonly parts: P) {}

  /** Sizes that the parts fix. */
  protected get sizes(): UnCLIPSizes {
    return unclipSizes(this.parts);
  }

  /** The decoder's. */
  get scheduler(): Scheduler {
    return this.parts.decoderScheduler;
  }

  /**
   * Draws one step at a time, to look at or to stop early: leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range
   */
  abstract steps(options: O): AsyncGenerator<UnCLIPStep, void, undefined>;

  abstract savePretrained(folder: string, save?: SaveOptions): Promise<void>;

  /**
   * Draws. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and `latents`, the same about [-1, 1],
   * unclipped.
   */
  async generate(options: O): Promise<Drawn> {
    return draw(this.steps(options), options, toUnit);
  }

  /** What the networks know of texts; the caller owns it. */
  textStates(prompts: string[]): TextStates {
    return readTextStates(prompts, this.parts);
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    disposeParts(this.parts);
  }
}
