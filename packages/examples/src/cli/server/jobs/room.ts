import { QueueClosedError, QueueFullError } from "./draw-job.js";

/** Most waiting jobs. */
export interface WaitingLimits {
  /** Of all clients. */
  waiting: number;
  /** Of one client. */
  waitingOfOne: number;
}

/** What a queue holds when a job comes. */
export interface QueueState {
  isClosed: boolean;
  /** Waiting jobs of all clients, and those of the client whose job comes. */
  waiting: number;
  own: number;
  /** Seconds from one finished job to the next. */
  secondsPerJob: number;
}

/** @throws QueueClosedError, QueueFullError if the queue can take no further job of this client */
export function requireRoom({ isClosed, waiting, own, secondsPerJob }: QueueState, limits: WaitingLimits): void {
  if (isClosed) throw new QueueClosedError("The server is ending.");
  if (waiting < limits.waiting && own < limits.waitingOfOne) return;
  const who =
    waiting < limits.waiting ? `${own} of them are yours, as many as one client may have` : "the queue is full";
  const retryAfter = Math.ceil(secondsPerJob * (waiting + 1));
  throw new QueueFullError(`${waiting} jobs wait, and ${who}. Try again in ${retryAfter} s.`, retryAfter);
}
