import * as tf from "@tensorflow/tfjs";
import { openPipeline, useBackend } from "@tfjs-diffusion/core";
import { faces } from "@tfjs-diffusion/faces";
import { portraits } from "@tfjs-diffusion/portraits";
import { DDIMScheduler } from "@tfjs-diffusion/schedulers";

export async function draw(isSmall: boolean): Promise<number> {
  await useBackend();
  const pipeline = await openPipeline(isSmall ? faces : portraits);
  const drawn = await pipeline.generate({ prompt: "a bald man", scheduler: new DDIMScheduler() });
  const pictures: number = drawn.images.shape[0];
  tf.dispose(drawn);
  pipeline.dispose();
  return pictures;
}
