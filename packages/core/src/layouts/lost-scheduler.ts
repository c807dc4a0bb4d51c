import { schedulerFromConfig } from "@tfjs-diffusion/schedulers";
import type { CheckpointFamily } from "../models/published-configs.js";
import { warn } from "../platform/warn.js";
import { WeightsFormatError } from "../weights/errors.js";
import { openSafetensors } from "../weights/safetensors.js";
import { encodeSafetensors, type TensorToWrite } from "../weights/write-safetensors.js";
import { fileScheduler } from "./file-scheduler.js";

type Config = Readonly<Record<string, unknown>>;

/** What a single file says of its scheduler. */
interface SaidInFile {
  marks: ReadonlyMap<string, TensorToWrite>;
  metadata: Record<string, string>;
}

/** Keys that the pipelines of Stable Diffusion 1 and 2 set themselves. */
const SET_BY_PIPELINES = ["steps_offset", "clip_sample", "clip_sample_range"];
/** Keys without an effect unless the first is on. */
const ONLY_WITH = { thresholding: ["dynamic_thresholding_ratio", "sample_max_value"] };

/**
 * Requires that a folder's scheduler draws the same after its settings were left out of a single file. There the file's
 * own marks and the published family decide. Another class of samplers is only warned of, as samplers are chosen anew
 * in each program: its settings, such as the betas, belong to the model.
 *
 * @param without warn of lost settings instead of refusing them
 * @throws WeightsFormatError that names the settings that would be lost
 */
export async function requireSchedulerKept(
  folder: string,
  family: CheckpointFamily,
  scheduler: Config,
  { marks, metadata }: SaidInFile,
  without: boolean,
): Promise<void> {
  const file = await openSafetensors(await encodeSafetensors(marks, metadata));
  const { schedulerConfig: reopened } = await fileScheduler(file, family, {});
  await file.close();
  const name = String(scheduler._class_name);
  const later = String(reopened._class_name);
  const isDistilled = schedulerFromConfig(scheduler).traits?.network === "distilled";
  const settings = differences(scheduler, reopened, family.startsWith("sdxl") ? [] : SET_BY_PIPELINES);
  const lost = [...(isDistilled ? [`the sampler that it was distilled for (${name})`] : []), ...settings];
  if (lost.length === 0 && name === later) return;
  const what = lost.length > 0 ? lost.join(", ") : `the class of its scheduler, ${name}`;
  const said = `${folder}: a single file cannot say ${what}; it opens with a ${later}`;
  if (lost.length === 0 || without) {
    warn(`${said}. Choose the scheduler where you draw with it.`);
    return;
  }
  throw new WeightsFormatError(
    `${said}, and would draw otherwise. Keep the folder, or leave the scheduler out (withoutScheduler) and ` +
      "set it where you draw with the file.",
  );
}

/** The settings of the class of the first scheduler that it loses to the second, with their values. */
function differences(scheduler: Config, reopened: Config, setLater: readonly string[]): string[] {
  const { _class_name } = scheduler;
  const read = (config: Config) => schedulerFromConfig({ ...config, _class_name }).config;
  const [own, other] = [read(scheduler), read(reopened)];
  const idle = Object.entries(ONLY_WITH).flatMap(([key, others]) => (own[key] === true ? [] : others));
  const isRead = (key: string) => !setLater.includes(key) && !idle.includes(key);
  return Object.keys(read({}))
    .filter((key) => isRead(key) && JSON.stringify(own[key]) !== JSON.stringify(other[key]))
    .map((key) => `${key} ${JSON.stringify(own[key])}`);
}
