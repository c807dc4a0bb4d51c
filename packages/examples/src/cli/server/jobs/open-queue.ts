import type { JobQueue } from "./draw-job.js";
import { ThreadQueue, type ThreadQueueSettings } from "./thread-queue.js";

/** The queue of a server: threads of this process, or workers that take their jobs from Redis. */
export async function openQueue(settings: ThreadQueueSettings, redis: string | undefined): Promise<JobQueue> {
  if (redis === undefined) return ThreadQueue.start(settings);
  const { RedisQueue } = await import("./redis-queue.js");
  return RedisQueue.open(redis, settings);
}
