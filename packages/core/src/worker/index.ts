/** `@tfjs-diffusion/core/worker`: models in a worker, called from a page that stays responsive. */
export type { Endpoint } from "./endpoint.js";
export type { ErrorClass } from "./carried-errors.js";
export { serveTasks, type Task, type TaskContext, type Tasks } from "./serve-tasks.js";
export { type CallOptions, SupersededError, WorkerClient } from "./worker-client.js";
export { pipelineTasks, type PipelineTasks } from "./pipeline-tasks.js";
export type {
  DrawProgress,
  DrawRequest,
  LoadedPipeline,
  LoadProgress,
  LoadRequest,
  LoraRequest,
  WorkerDrawing,
} from "./pipeline-requests.js";
export type { WorkerArray, WorkerPicture } from "./pictures.js";
