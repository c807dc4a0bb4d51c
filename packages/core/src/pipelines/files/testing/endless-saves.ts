/**
 * A process that saves pipelines over a folder, one after the other and again and again, until it is killed.
 * Arguments: the folder, and the folders of the pipelines.
 */
import { writeSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { useBackend } from "../../../backend/use-backend.js";
import { openPipeline } from "../../open-pipeline.js";

const [to, ...from] = process.argv.slice(2) as [string, ...string[]];
await useBackend("cpu");
const pipelines = await Promise.all(from.map((folder) => openPipeline(folder)));
for (let i = 0; ; i++) {
  const begin = performance.now();
  await pipelines[i % pipelines.length]!.savePretrained(to, { maxShardBytes: 8_000 });
  writeSync(1, "saved\n");
  // A pause after every sixth save, so that a reader gets through on a busy machine, too.
  if (i % 6 === 5) await setTimeout(3 * (performance.now() - begin));
}
