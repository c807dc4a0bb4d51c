import {
  BackendUnavailableError,
  ImageError,
  PipelineFolderError,
  PipelineOptionError,
  PipelinePartsError,
} from "@tfjs-diffusion/core";
import { HubError } from "@tfjs-diffusion/core/hub";
import { ModelConfigError, ModelInputError } from "@tfjs-diffusion/core/models";
import { NonFiniteLayerError } from "@tfjs-diffusion/core/nn";
import { TokenizerFilesError } from "@tfjs-diffusion/core/text";
import {
  CheckpointMismatchError,
  CheckpointWriteError,
  DamagedCheckpointError,
  NonFiniteError,
  TrainingLockedError,
} from "@tfjs-diffusion/core/training";
import {
  FileWriteError,
  PlatformError,
  WeightsFormatError,
  WeightsMismatchError,
  WeightsReadError,
} from "@tfjs-diffusion/core/weights";
import { SchedulerConfigError } from "@tfjs-diffusion/schedulers";
import { Stopped } from "./terminal/stopped.js";
import { OutputError } from "./files/output-file.js";
import { writtenOption } from "./options/fit-to-pipeline.js";
import { UsageError } from "./options/usage-error.js";

/** Errors whose message says everything that a user needs. */
const EXPLAINED = [
  BackendUnavailableError,
  CheckpointMismatchError,
  CheckpointWriteError,
  DamagedCheckpointError,
  FileWriteError,
  HubError,
  ImageError,
  ModelConfigError,
  ModelInputError,
  NonFiniteError,
  NonFiniteLayerError,
  OutputError,
  PipelineFolderError,
  PipelineOptionError,
  PipelinePartsError,
  PlatformError,
  SchedulerConfigError,
  TokenizerFilesError,
  TrainingLockedError,
  WeightsFormatError,
  WeightsMismatchError,
  WeightsReadError,
];

/** How a command ends. */
export interface CommandEnd {
  /** 1 failed, 2 wrong arguments, 130 interrupted. */
  code: 1 | 2 | 130;
  /** Printed, if there is one. */
  message?: string;
}

/** How a command with this error ends; undefined for a bug of this program, whose stack trace should be seen. */
export function commandEnd(error: unknown): CommandEnd | undefined {
  if (error instanceof Stopped) return { code: 130 };
  if (error instanceof UsageError)
    return { code: 2, message: `${error.message}\nRun it with --help to see all options.` };
  if (!EXPLAINED.some((kind) => error instanceof kind)) return undefined;
  if (error instanceof PipelineOptionError) return { code: 1, message: inFlags(oneLine(error.message)) };
  return { code: 1, message: oneLine((error as Error).message).replace("(withoutScheduler)", "(--without-scheduler)") };
}

/** The message of a pipeline with its options named as on the command line: `--steps` for numInferenceSteps. */
function inFlags(message: string): string {
  // A name that is one plain word, such as mask, is an option only where the message begins with it.
  return message.replace(/^\w+(?=[:,])|\b[a-z]+[A-Z]\w*\b/g, (name) => writtenOption(name) ?? name);
}

/** The first line of a message and the first of its details. */
function oneLine(message: string): string {
  const [head = "", ...details] = message.split("\n").map((line) => line.trim());
  if (details.length === 0) return head;
  return `${head} ${details[0]}${details.length > 1 ? ` (and ${details.length - 1} more)` : ""}`;
}
