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
import { UsageError } from "./options/usage-error.js";

/** Errors whose message is all that there is to say. */
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
  WeightsFormatError,
  WeightsMismatchError,
  WeightsReadError,
];

/** What a command ends with. */
export interface CommandEnd {
  /** 0 done, 1 not possible here, 2 not understood, 130 interrupted. */
  code: 1 | 2 | 130;
  /** What to say of it. */
  message?: string;
}

/** How a command ends that failed with this error; undefined: by a fault of ours, which is to be seen whole. */
export function commandEnd(error: unknown): CommandEnd | undefined {
  if (error instanceof Stopped) return { code: 130 };
  if (error instanceof UsageError)
    return { code: 2, message: `${error.message}\nWith --help, all options are listed.` };
  if (!EXPLAINED.some((kind) => error instanceof kind)) return undefined;
  return { code: 1, message: oneLine((error as Error).message) };
}

/** Of a message that lists what is wrong, the head and the first of it. */
function oneLine(message: string): string {
  const [head = "", ...details] = message.split("\n").map((line) => line.trim());
  if (details.length === 0) return head;
  return `${head} ${details[0]}${details.length > 1 ? ` (and ${details.length - 1} more)` : ""}`;
}
