import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { JobQueue } from "./jobs/draw-job.js";

/** What Prometheus reads at `/metrics`. */
export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter<"route" | "method" | "status">;
  readonly #pictures: Counter<"model">;
  readonly #seconds: Histogram<"model">;

  constructor(queue: JobQueue) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#requests = new Counter({
      name: "http_requests_total",
      help: "Requests by route, method and status",
      labelNames: ["route", "method", "status"],
      registers,
    });
    this.#pictures = new Counter({
      name: "diffusion_pictures_total",
      help: "Pictures drawn",
      labelNames: ["model"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "diffusion_job_seconds",
      help: "Seconds from a job's arrival to its last picture, with the time that it waited",
      labelNames: ["model"],
      buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
      registers,
    });
    new Gauge({
      name: "diffusion_jobs",
      help: "Jobs that wait and jobs that are drawn",
      labelNames: ["state"],
      registers,
      async collect() {
        for (const [state, jobs] of Object.entries(await queue.state())) this.set({ state }, jobs);
      },
    });
  }

  countRequest(route: string, method: string, status: number): void {
    this.#requests.inc({ route, method, status: String(status) });
  }

  /** Returns a function to call at the end, with the number of pictures. */
  beginDrawing(model: string): (pictures: number) => void {
    const end = this.#seconds.startTimer({ model });
    return (pictures) => {
      if (pictures === 0) return;
      end();
      this.#pictures.inc({ model }, pictures);
    };
  }
}
