import type { BackendName, BackendOptions } from "../backend/candidate.js";
import type { ChosenBackend } from "../backend/use-backend.js";
import type { LoadLoraOptions } from "../adapters/lora.js";
import type { OpenPipelineOptions } from "../pipelines/open-pipeline.js";
import type { PipelineInput } from "../pipelines/pipeline.js";
import type { PipelineStep } from "../pipelines/pipeline-step.js";
import type { StableDiffusionXLOptions } from "../pipelines/stable-diffusion/stable-diffusion-xl-options.js";
import type { WorkerArray, WorkerPicture } from "./pictures.js";

/** Options that are texts, numbers, or lists of them: those that a message can carry as they are. */
type PlainOptions<Options> = {
  [
    Name in keyof Options as Exclude<Options[Name], undefined> extends
      string | number | boolean | readonly (string | number)[]
      ? Name
      : never
  ]: Options[Name];
};

/** Opens a model, in place of the one before. */
export interface LoadRequest
  extends Pick<BackendOptions, "threads" | "wasmPaths">, Pick<OpenPipelineOptions, "variant" | "dtype" | "revision"> {
  /**
   * A folder or file, its address (relative to the worker's script), the addresses of its files, or "owner/name" on the
   * hub (Node only).
   */
  from: string | Readonly<Record<string, string>>;
  /** Default: the fastest that loads. */
  backend?: BackendName;
}

/** How far loading is. */
export interface LoadProgress {
  /** Bytes received. */
  received: number;
  /** Bytes in all, if the server has said so: the hub does, a folder on a web server does not. */
  total?: number;
}

/** The opened model. */
export interface LoadedPipeline {
  backend: ChosenBackend;
  input: PipelineInput;
  /** Names of the options that it takes. */
  options: string[];
  /** The config of its scheduler. To draw with another: `{ ...scheduler, _class_name: "LMSDiscreteScheduler" }`. */
  scheduler: Record<string, unknown>;
}

/** Adds a LoRA to the networks of the opened model. */
export interface LoraRequest extends Pick<LoadLoraOptions, "name" | "scale" | "weightName"> {
  /** A file or folder, or its address. */
  from: string;
}

/** What to draw: the plain options of all pipelines, with pictures and samplers in the form of messages. */
export interface DrawRequest extends PlainOptions<StableDiffusionXLOptions> {
  /** A picture to begin from. */
  image?: WorkerPicture;
  /** What to draw anew of it: opacity, or the lightness of an opaque picture. */
  mask?: WorkerPicture;
  /** Config of a scheduler to use in place of the pipeline's own. */
  scheduler?: Readonly<Record<string, unknown>>;
  /** In place of `seed`: the seed of PyTorch's generator, to draw what diffusers draws. */
  torchSeed?: number;
  /** Scales of LoRAs, from now on. */
  loras?: Readonly<Record<string, number>>;
  /** What to report of each step: pictures of the sample x and of the clean sample x0, and their numbers. */
  watch?: readonly ("x" | "x0" | "numbers")[];
}

/** A step of a drawing. */
export interface DrawProgress extends Pick<PipelineStep, "index" | "total" | "step" | "steps" | "timestep"> {
  /** Pictures of the sample, if watched. */
  x?: WorkerPicture[];
  /** Pictures of the clean sample that the network predicts, if watched. */
  x0?: WorkerPicture[];
  /** The tensors of the step, if watched. */
  numbers?: { latents: WorkerArray; x0: WorkerArray; output: WorkerArray };
}

/** What was drawn. */
export interface WorkerDrawing {
  pictures: WorkerPicture[];
  /** How long it took, without the time that the call waited. */
  milliseconds: number;
}
