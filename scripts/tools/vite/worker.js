import { pipelineTasks, serveTasks } from "@tfjs-diffusion/core/worker";

serveTasks(pipelineTasks());
