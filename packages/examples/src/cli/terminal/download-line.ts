import type { HubProgress } from "@tfjs-diffusion/core/hub";

const WIDTH = 30;
/** Milliseconds between two updates of the line. */
const INTERVAL = 100;

/** A line that shows how far a download is. */
export interface DownloadLine {
  show(progress: HubProgress): void;
  /** Leaves the line as it is and goes to the next one. */
  end(): void;
}

/** A bar with the bytes and the speed, redrawn in place; undefined if the output is not a terminal. */
export function downloadLine(
  name: string,
  stream: Pick<NodeJS.WriteStream, "isTTY" | "write"> = process.stderr,
  now: () => number = () => performance.now(),
): DownloadLine | undefined {
  if (!stream.isTTY) return undefined;
  let start: { time: number; received: number } | undefined;
  let drawn = -Infinity;
  return {
    show({ file, received, total }) {
      const time = now();
      start ??= { time, received };
      if (received < total && time - drawn < INTERVAL) return;
      drawn = time;
      const filled = total > 0 ? Math.round((WIDTH * received) / total) : WIDTH;
      const seconds = Math.max((time - start.time) / 1000, 1e-3);
      const speed = Math.max(0, received - start.received) / seconds;
      const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
      stream.write(`\r\x1b[K${name} ${bar} ${size(received)} of ${size(total)}, ${size(speed)}/s  ${file}`);
    },
    end() {
      if (drawn !== -Infinity) stream.write("\n");
    },
  };
}

/** Runs `load`, which may download the model called `name`, and shows the download while it runs. */
export async function withDownloadLine<T>(
  name: string,
  load: (onProgress: ((progress: HubProgress) => void) | undefined) => Promise<T>,
): Promise<T> {
  const line = downloadLine(name);
  try {
    return await load(line?.show);
  } finally {
    line?.end();
  }
}

function size(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
