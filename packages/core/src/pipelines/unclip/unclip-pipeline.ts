import type * as tf from "@tensorflow/tfjs";
import { toUnit } from "../../image/to-unit.js";
import { FiniteWatch } from "../drawing/finite-watch.js";
import { disposeParts } from "../parts/dispose-parts.js";
import type { UnCLIPDrawingOptions, UnCLIPStep } from "./unclip-options.js";
import { type UnCLIPDrawingParts, type UnCLIPFacts, unclipFacts } from "./unclip-parts.js";
import { readTextStates, type TextStates } from "./unclip-text.js";

/**
 * What unCLIP's pipelines share: pictures are drawn from CLIP image embeddings, which the kinds have from different
 * sources.
 */
export abstract class UnCLIPDrawingPipeline<P extends UnCLIPDrawingParts, O extends UnCLIPDrawingOptions> {
  /** @param parts those of `liveParts`; what is assigned to them takes effect at the next call */
  constructor(readonly parts: P) {}

  /** Sizes that the parts fix. */
  protected get facts(): UnCLIPFacts {
    return unclipFacts(this.parts);
  }

  /**
   * Draws one step at a time, to look at or to stop early: leaving the loop frees everything.
   *
   * @throws PipelineOptionError before any work, if an option is out of its range
   */
  abstract steps(options: O): AsyncGenerator<UnCLIPStep, void, undefined>;

  /**
   * Draws. The caller owns both tensors: `images` [B, H, W, 3] in [0, 1], and `latents`, the same about [-1, 1],
   * unclipped.
   */
  async generate(options: O): Promise<{ images: tf.Tensor4D; latents: tf.Tensor4D }> {
    let latents: tf.Tensor4D | undefined;
    try {
      for await (const step of this.steps(options)) {
        options.onStep?.(step);
        if (step.index === step.total - 1) latents = step.latents.clone() as tf.Tensor4D;
      }
      return { images: toUnit(latents!), latents: latents! };
    } catch (error) {
      latents?.dispose();
      throw error;
    }
  }

  /** What the networks know of texts, to mix and to give as `textStates`; the caller owns it. */
  textStates(prompts: string[]): TextStates {
    return readTextStates(prompts, this.parts);
  }

  /** Looks for NaN in all layers, if the options ask for it. */
  protected watch({ debug = false }: O): FiniteWatch {
    return new FiniteWatch(this.parts, debug);
  }

  /** Frees the weights of all networks. */
  dispose(): void {
    disposeParts(this.parts);
  }
}
