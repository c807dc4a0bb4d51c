import type { Scheduler } from "@tfjs-diffusion/schedulers";
import type { CLIPTextModel, CLIPTextModelWithProjection } from "../../models/clip/clip-text-model.js";
import type { UNet2DConditionModel } from "../../models/unet/unet-2d-condition.js";
import type { CLIPTokenizer } from "../../text/tokenizer.js";
import { PipelinePartsError } from "../options/errors.js";

/** What a text-to-image pipeline in pixel space is made of. */
export interface TextToImageParts {
  /** Works on pixels: as many channels come out as go in. */
  unet: UNet2DConditionModel;
  /** Its last hidden states are what the UNet's cross-attention looks at. */
  textEncoder: CLIPTextModel;
  /** Its projected sentence vector joins the time embedding of a UNet whose `class_embed_type` is "projection". */
  textEncoder2?: CLIPTextModelWithProjection;
  tokenizer: CLIPTokenizer;
  scheduler: Scheduler;
}

/** @throws PipelinePartsError if the UNet could not work with what the text encoders give it */
export function requireFittingParts({ unet, textEncoder, textEncoder2 }: TextToImageParts): void {
  const { in_channels, out_channels, sample_size, cross_attention_dim, class_embed_type } = unet.config;
  require(in_channels ===
    out_channels, `takes ${in_channels} channels and returns ${out_channels}; a picture has as many after a step as before it.`);
  require(sample_size !==
    null, `has no sample_size in its config; set it to the height of the pictures it was trained on.`);
  const width = textEncoder.config.hidden_size;
  const widths = [cross_attention_dim].flat();
  require(widths.every(
    (wanted) => wanted === width,
  ), `reads text states of ${widths.join(", ")} numbers; the text encoder makes ${width}.`);

  if (textEncoder2 === undefined) {
    require(class_embed_type ===
      null, `needs class embeddings (${class_embed_type}), which come from a second text encoder; give textEncoder2.`);
    return;
  }
  require(class_embed_type ===
    "projection", `has class_embed_type ${class_embed_type}, which takes no sentence vector; leave textEncoder2 out.`);
  const wanted = unet.config.projection_class_embeddings_input_dim;
  const given = textEncoder2.config.projection_dim;
  require(wanted === given, `takes a sentence vector of ${wanted} numbers; the second text encoder makes ${given}.`);
}

function require(condition: boolean, problem: string): asserts condition {
  if (!condition) throw new PipelinePartsError(`TextToImagePipeline: the UNet ${problem}`);
}

/** Height, width and channels of the pictures a network was trained on. */
export function pictureShape({ config }: UNet2DConditionModel): [number, number, number] {
  const [height, width = height] = [config.sample_size].flat() as [number, number?];
  return [height, width, config.in_channels];
}
