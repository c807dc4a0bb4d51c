import * as tf from "@tensorflow/tfjs";
import { encodePng } from "@tfjs-diffusion/core";
import { pipelineTasks, serveTasks, type WorkerPicture } from "@tfjs-diffusion/core/worker";

const tasks = {
  ...pipelineTasks(),

  /** A PNG file with a text in it. */
  async png({ picture, text }: { picture: WorkerPicture; text: Record<string, string> }): Promise<Uint8Array> {
    const { width, height, data } = picture;
    const pixels = tf.tidy(() => tf.tensor3d(Uint8Array.from(data), [height, width, 4], "int32").div(255));
    return encodePng(pixels, { text }).finally(() => pixels.dispose());
  },
};

/** What the page can call. */
export type DrawingTasks = typeof tasks;

serveTasks(tasks);
