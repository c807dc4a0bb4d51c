import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs";
import { type Control, loadModel } from "@tfjs-diffusion/core";
import {
  CLIPVisionModelWithProjection,
  ControlNetModel,
  IPAdapter,
  type Model,
  T2IAdapter,
} from "@tfjs-diffusion/core/models";
import type { AdapterInput, IPAdapterInput } from "@tfjs-diffusion/core/pipelines";
import { modelFrom } from "../options/model-from.js";
import type { PictureArguments } from "../options/picture-arguments.js";
import { UsageError } from "../options/usage-error.js";
import { withDownloadLine } from "../terminal/download-line.js";
import { readPicture } from "./read-picture.js";

/** The networks that a command names beside its model, with their pictures: options of the pipeline. */
export interface Beside {
  control?: Control;
  adapter?: AdapterInput;
  ipAdapter?: IPAdapterInput;
}

/**
 * Opens the networks that a command names beside its model; the caller frees them by {@link disposeBeside}.
 *
 * @throws UsageError for a network of another class; errors of loadModel, ImageError
 */
export async function openBeside({ control, adapter, ipAdapter, options }: PictureArguments): Promise<Beside> {
  const beside: Beside = {};
  const opened: Model[] = [];
  const open = async <M extends Model>(flag: string, from: string, kind: new (...given: never[]) => M) => {
    const model = await withDownloadLine(from, (onProgress) => loadModel(modelFrom(from), { onProgress }));
    opened.push(model);
    if (model instanceof kind) return model;
    throw new UsageError(`--${flag} ${from}: this is a ${model.constructor.name}, not a ${kind.name}.`);
  };
  try {
    if (control) {
      const model = await open("controlnet", control.model, ControlNetModel);
      beside.control = { model, image: await readPicture(control.image, options), scale: control.scale };
    }
    if (adapter) {
      const model = await open("adapter", adapter.model, T2IAdapter);
      const picture = await readPicture(adapter.image, options);
      beside.adapter = { model, image: inChannels(picture, model.config.in_channels), scale: adapter.scale };
    }
    if (ipAdapter) {
      const model = await open("ip-adapter", ipAdapter.model, IPAdapter);
      const encoder = ipAdapter.encoder ?? encoderBeside(ipAdapter.model);
      const imageEncoder = await open("ip-encoder", encoder, CLIPVisionModelWithProjection);
      beside.ipAdapter = { model, imageEncoder, image: await readPicture(ipAdapter.image, {}), scale: ipAdapter.scale };
    }
    return beside;
  } catch (error) {
    disposeBeside(beside);
    for (const model of opened) model.dispose();
    throw error;
  }
}

/** Frees what {@link openBeside} opened. */
export function disposeBeside({ control, adapter, ipAdapter }: Beside): void {
  for (const model of [control?.model, adapter?.model, ipAdapter?.model, ipAdapter?.imageEncoder]) model?.dispose();
  tf.dispose([control?.image ?? [], adapter?.image ?? [], ipAdapter?.image ?? []]);
}

/** The image encoder in the folder of the adapter's file, where h94/IP-Adapter has it. */
function encoderBeside(adapter: string): string {
  const folder = join(dirname(modelFrom(adapter)), "image_encoder");
  if (existsSync(folder)) return folder;
  throw new UsageError(
    `--ip-adapter ${adapter}: there is no folder image_encoder beside it. Give the image encoder that it was trained ` +
      "with as --ip-encoder FOLDER.",
  );
}

/** A colour picture for an adapter that reads grey ones: the mean of its colours. Takes the picture over. */
function inChannels(picture: tf.Tensor3D, channels: number): tf.Tensor3D {
  if (channels !== 1) return picture;
  const grey = tf.tidy(() => picture.mean<tf.Tensor3D>(2, true));
  picture.dispose();
  return grey;
}
