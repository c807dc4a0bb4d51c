import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openSafetensors, writeSafetensors } from "@tfjs-diffusion/core";
import { parametersToTensors, readParameters } from "@tfjs-diffusion/core/weights";
import { FaceClassifier, type FaceClassifierConfig } from "./classifier-model.js";

const CONFIG = "config.json";
const WEIGHTS = "model.safetensors";

/** Writes the classifier's config and its weights in half precision, which does not change its results. */
export async function saveClassifier(classifier: FaceClassifier, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, CONFIG), `${JSON.stringify(classifier.config, null, 2)}\n`);
  await writeSafetensors(join(folder, WEIGHTS), await parametersToTensors(classifier.namedParameters(), "F16"));
}

/** Reads a classifier from the folder that {@link saveClassifier} wrote. */
export async function loadClassifier(folder: string): Promise<FaceClassifier> {
  const config = JSON.parse(await readFile(join(folder, CONFIG), "utf8")) as FaceClassifierConfig;
  const classifier = new FaceClassifier(config);
  const file = await openSafetensors(join(folder, WEIGHTS));
  try {
    await readParameters(file, classifier.namedParameters());
  } finally {
    await file.close();
  }
  return classifier;
}
