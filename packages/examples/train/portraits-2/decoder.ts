import * as tf from "@tensorflow/tfjs";
import { UNet2DConditionModel, UnCLIPTextProjModel } from "@tfjs-diffusion/core/models";
import { dataOrder, train, type TrainingStep } from "@tfjs-diffusion/core/training";
import { keyedNoise, type RandomNumbers, UnCLIPScheduler } from "@tfjs-diffusion/schedulers";
import { PORTRAITS_2 } from "../../datasets/portraits-2/index.js";
import { prefixed, trainingCaptions } from "../conditioning.js";
import { stageTraining } from "../stage.js";
import { TrainingPictures } from "../training-pictures.js";
import { learnedVarianceLoss } from "./learned-variance-loss.js";
import type { UnCLIPStageOptions } from "./prior.js";
import { captionStates, type CaptionStates, loadTowers } from "./towers.js";
import { TrainingEmbeddings } from "./training-embeddings.js";
import { DECODER_CONFIG, DECODER_SCHEDULER, TEXT_PROJ_CONFIG } from "./unclip-config.js";

/** The networks that draw small pictures from embeddings. */
export interface DecoderNetworks {
  decoder: UNet2DConditionModel;
  textProj: UnCLIPTextProjModel;
}

/**
 * Trains unCLIP's decoder: a UNet that draws a small picture from its CLIP embedding and its caption (Ramesh et al.
 * 2022, section 2.1). Captions are left out more often than embeddings, so that it also draws from an embedding alone.
 */
export async function* trainUnCLIPDecoder(options: UnCLIPStageOptions): AsyncGenerator<TrainingStep, void> {
  const { settings, tokenizer, clipFolder, checkpoint, log, folder, signal } = options;
  const { seed, trainingPictures } = settings;
  const { captionDropout, conditionDropout, ...stage } = settings.decoder;
  const pictures = new TrainingPictures(PORTRAITS_2, seed, trainingPictures);
  const { text, vision } = await loadTowers(clipFolder);
  const embeddings = TrainingEmbeddings.encode(vision, pictures);
  vision.dispose();
  const networks = newDecoder(seed);
  const scheduler = new UnCLIPScheduler(DECODER_SCHEDULER);
  const order = dataOrder(seed, trainingPictures);
  const read = (captions: readonly string[]) => captionStates(text, tokenizer, captions);
  try {
    yield* train({
      ...stageTraining(seed, stage),
      parameters: new Map([...prefixed("decoder", networks.decoder), ...prefixed("text_proj", networks.textProj)]),
      loss: ({ firstSample, noise }) => {
        const samples = Array.from({ length: stage.batchSize }, (_, i) => firstSample + i);
        const indices = samples.map(order);
        const faceOf = (sample: number) => pictures.face(order(sample));
        const shown = drawShown(samples.length, conditionDropout, noise.at("conditions").random());
        const captions = trainingCaptions(PORTRAITS_2, samples, faceOf, seed, captionDropout).map((caption, i) =>
          shown[i] ? caption : "",
        );
        const imageEmbeddings = withNone(networks.textProj, embeddings.batch(indices), shown);
        const condition = decoderConditioning(networks, imageEmbeddings, read(captions));
        return learnedVarianceLoss({
          scheduler,
          model: (noisy, timesteps) => {
            const { context, ...more } = condition;
            return networks.decoder.forward(noisy, tf.tensor1d(timesteps), context, more);
          },
          x0: smallPictures(pictures.batch(indices)),
          noise,
        });
      },
      checkpoint: {
        to: checkpoint,
        every: stage.checkpointEvery,
        settings: { ...settings.decoder, trainingPictures, decoder: DECODER_CONFIG, text_proj: TEXT_PROJ_CONFIG },
      },
      log,
      onCheckpoint: ({ withEma }) =>
        withEma(async () => {
          await networks.decoder.save(`${folder}/decoder`, { dtype: "F16" });
          await networks.textProj.save(`${folder}/text_proj`, { dtype: "F16" });
        }),
      signal,
    });
  } finally {
    for (const network of [networks.decoder, networks.textProj, text]) network.dispose();
  }
}

function newDecoder(seed: number): DecoderNetworks {
  const decoder = new UNet2DConditionModel(DECODER_CONFIG);
  const textProj = new UnCLIPTextProjModel(TEXT_PROJ_CONFIG);
  decoder.initialize(keyedNoise(seed).at("decoder"));
  textProj.initialize(keyedNoise(seed).at("text_proj"));
  return { decoder, textProj };
}

/** Which pictures of a batch are drawn from their embedding and caption; the others from neither. */
const drawShown = (count: number, dropout: number, random: RandomNumbers) =>
  Array.from({ length: count }, () => random.uniform() >= dropout);

/** The embeddings, with the learned "no image" embedding for the pictures that are not shown. */
export function withNone(
  textProj: UnCLIPTextProjModel,
  embeddings: tf.Tensor2D,
  shown: readonly boolean[],
): tf.Tensor2D {
  const none = textProj.learned_classifier_free_guidance_embeddings.value;
  const isShown = tf.tensor2d(shown.map(Number), [shown.length, 1]);
  return embeddings.mul(isShown).add(none.mul(tf.sub(1, isShown)));
}

/** The decoder's inputs beside the noisy picture, as UnCLIPPipeline makes them. */
export function decoderConditioning(
  { textProj }: Pick<DecoderNetworks, "textProj">,
  imageEmbeddings: tf.Tensor2D,
  states: CaptionStates,
) {
  const { context, classLabels } = textProj.forward({
    imageEmbeddings,
    promptEmbeds: states.textEmbeds,
    textEncoderHiddenStates: states.hiddenStates,
    doClassifierFreeGuidance: false,
  });
  const { clip_extra_context_tokens: tokens } = textProj.config;
  const imageTokens = tf.ones<tf.Rank.R2>([imageEmbeddings.shape[0], tokens]);
  return { context, classLabels, encoderAttentionMask: tf.concat([imageTokens, states.attentionMask], 1) };
}

/** Pictures at half their size: each pixel is the mean of four. */
export const smallPictures = (pictures: tf.Tensor4D): tf.Tensor4D => tf.avgPool(pictures, 2, 2, "valid");
