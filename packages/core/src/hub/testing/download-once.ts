/**
 * Downloads owner/name with the settings of the environment and prints its folder. Tests run it as a separate process.
 */
import { downloadFromHub } from "../download.js";

process.stdout.write(await downloadFromHub("owner/name"));
