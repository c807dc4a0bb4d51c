import { parentPort } from "node:worker_threads";
import { pipelineTasks, serveTasks } from "../index.js";

// Runs in a worker of Node.
serveTasks(pipelineTasks(), parentPort!);
