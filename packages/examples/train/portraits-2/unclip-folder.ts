import { join } from "node:path";
import { type CLIPTokenizer, loadModel } from "@tfjs-diffusion/core";
import { CLIPImageProcessor } from "@tfjs-diffusion/core/image";
import type {
  PriorTransformer,
  UNet2DConditionModel,
  UNet2DModel,
  UnCLIPTextProjModel,
} from "@tfjs-diffusion/core/models";
import { UnCLIPImageVariationPipeline, UnCLIPPipeline } from "@tfjs-diffusion/core/pipelines";
import { UnCLIPScheduler } from "@tfjs-diffusion/schedulers";
import { PORTRAIT_SIZE } from "../../datasets/portraits/index.js";
import { loadTowers } from "./towers.js";
import { DECODER_SCHEDULER, ENLARGER_SCHEDULER, PRIOR_SCHEDULER } from "./unclip-config.js";

/** The results of the stages. */
export interface UnCLIPStageFolders {
  clip: string;
  prior: string;
  decoder: string;
  enlarger: string;
}

/**
 * Puts the trained networks together: a folder that draws from text, and one that varies pictures, both in the layout
 * of diffusers. unCLIP has one network for all enlarging steps but the last and one for the last; here one network,
 * stored twice, does both.
 */
export async function writeUnCLIPFolders(
  from: UnCLIPStageFolders,
  tokenizer: CLIPTokenizer,
  to: { text: string; variation: string },
): Promise<void> {
  const { text: textEncoder, vision: imageEncoder } = await loadTowers(from.clip);
  const load = <M>(...path: string[]) => loadModel(join(...path)) as Promise<M>;
  const drawing = {
    textEncoder,
    tokenizer,
    textProj: await load<UnCLIPTextProjModel>(from.decoder, "text_proj"),
    decoder: await load<UNet2DConditionModel>(from.decoder, "decoder"),
    superResFirst: await load<UNet2DModel>(from.enlarger),
    superResLast: await load<UNet2DModel>(from.enlarger),
    decoderScheduler: new UnCLIPScheduler(DECODER_SCHEDULER),
    superResScheduler: new UnCLIPScheduler(ENLARGER_SCHEDULER),
  };
  const prior = await load<PriorTransformer>(from.prior);
  const priorScheduler = new UnCLIPScheduler(PRIOR_SCHEDULER);
  const textPipeline = new UnCLIPPipeline({ ...drawing, prior, priorScheduler });
  const featureExtractor = portraitProcessor();
  const variationPipeline = new UnCLIPImageVariationPipeline({ ...drawing, imageEncoder, featureExtractor });
  try {
    await textPipeline.savePretrained(to.text, { dtype: "F16" });
    await variationPipeline.savePretrained(to.variation, { dtype: "F16" });
  } finally {
    // The drawing parts belong to both.
    for (const network of [imageEncoder, featureExtractor, textPipeline]) if ("dispose" in network) network.dispose();
  }
}

/** CLIP of portraits sees 32 x 32 pixels in [-1, 1]. */
const portraitProcessor = () =>
  new CLIPImageProcessor({
    size: { shortest_edge: PORTRAIT_SIZE },
    crop_size: { height: PORTRAIT_SIZE, width: PORTRAIT_SIZE },
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  });
