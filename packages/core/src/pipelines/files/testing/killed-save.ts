/**
 * A process that saves the pipeline of one folder over another folder, to be killed at any moment by kill.test.ts.
 * Arguments: the job, from, to, and the largest size of a file. KILL_AT=k: it kills itself in the middle of its k-th
 * change to the file system.
 */
import { writeSync } from "node:fs";
import { useBackend } from "../../../backend/use-backend.js";
import { convertFolder } from "../../../layouts/convert-folder.js";
import { killInCall } from "../../../testing/killed-calls.js";
import { openPipeline } from "../../open-pipeline.js";

const [job, from, to, size] = process.argv.slice(2) as [string, string, string, string];
const save = await prepared();
if (process.env.KILL_AT) await killInCall(Number(process.env.KILL_AT));
writeSync(1, "saving\n");
await save();

async function prepared(): Promise<() => Promise<void>> {
  const maxShardBytes = Number(size);
  if (job === "convert") return () => convertFolder(from, to, { maxShardBytes });
  await useBackend("cpu");
  const pipeline = await openPipeline(from);
  return () => pipeline.savePretrained(to, { maxShardBytes });
}
