/**
 * Downloads owner/name with the settings of the environment, and says where it lies: a process of its own for tests.
 */
import { downloadFromHub } from "../download.js";

process.stdout.write(await downloadFromHub("owner/name"));
