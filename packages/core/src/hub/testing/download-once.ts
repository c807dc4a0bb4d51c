/**
 * Downloads owner/name with the settings of the environment and prints its folder. Tests run it as a separate process.
 * KILL_AT=k: it kills itself in the middle of its k-th change to the file system.
 */
import { killInCall } from "../../testing/killed-calls.js";
import { downloadFromHub } from "../download.js";

if (process.env.KILL_AT) await killInCall(Number(process.env.KILL_AT));
process.stdout.write(await downloadFromHub("owner/name"));
