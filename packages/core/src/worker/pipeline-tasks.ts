import type { OpenedPipeline } from "./opened-pipeline.js";
import type { LoadedPipeline, LoadProgress, LoadRequest, LoraRequest } from "./pipeline-requests.js";
import type { DrawProgress, DrawRequest, WorkerDrawing } from "./pipeline-requests.js";
import type { TaskContext } from "./serve-tasks.js";

/** Tasks that open a model and draw with it, for `serveTasks`. {@link PipelineTasks} is their type, for the page. */
export function pipelineTasks() {
  let opened: OpenedPipeline | undefined;

  function open(): OpenedPipeline {
    if (!opened) throw new Error('No model is open in the worker; call "load" first.');
    return opened;
  }

  return {
    /** Opens a model, in place of the one before. */
    async load(request: LoadRequest, context: TaskContext<LoadProgress>): Promise<LoadedPipeline> {
      opened?.dispose();
      opened = undefined;
      // A page that imports the types and the client only must not load TensorFlow.js.
      const { OpenedPipeline } = await import("./opened-pipeline.js");
      opened = await OpenedPipeline.open(request, context);
      return opened.describe();
    },

    /** Draws, and reports each step. */
    draw: (request: DrawRequest, context: TaskContext<DrawProgress>): Promise<WorkerDrawing> =>
      open().draw(request, context),

    /** Adds a LoRA to the networks. */
    addLora: (request: LoraRequest): Promise<void> => open().addLora(request),

    /** What TensorFlow.js holds in this worker. */
    async memory(): Promise<{ numTensors: number; numBytes: number }> {
      const { memory } = await import("@tensorflow/tfjs");
      const { numTensors, numBytes } = memory();
      return { numTensors, numBytes };
    },

    /** Frees the model; "load" can open another. */
    unload(): void {
      opened?.dispose();
      opened = undefined;
    },
  };
}

/** The tasks of {@link pipelineTasks}: `new WorkerClient<PipelineTasks>(worker)`. */
export type PipelineTasks = ReturnType<typeof pipelineTasks>;
