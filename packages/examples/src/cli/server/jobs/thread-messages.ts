import type { DrawEvent, DrawJob, DrawnPicture, ModelInfo } from "./draw-job.js";

/** What a thread is started with. */
export interface StartOfThread {
  models: readonly string[];
  backend: string | undefined;
}

/** From the server to a thread. */
export type ToThread = { type: "draw"; id: number; job: DrawJob } | { type: "stop"; id: number };

/** From a thread to the server. */
export type FromThread =
  | { type: "ready"; models: ModelInfo[]; backend: string }
  | { type: "event"; id: number; event: DrawEvent }
  | { type: "done"; id: number; pictures: DrawnPicture[] }
  | { type: "failed"; id: number; message: string; isRequest: boolean; isStopped: boolean };
