import { mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "@jest/globals";
import { cacheFolder, optionalPackage, resolveBelow } from "../optional-package.js";
import { useBackend } from "../use-backend.js";

const installed =
  (await optionalPackage("@tensorflow/tfjs-node")) ??
  (await resolveBelow(await cacheFolder("native"), "@tensorflow/tfjs-node"));

// tfjs-node stands for tfjs-node-gpu, which differs in TensorFlow's library only.
it("tfjs-node-gpu without a card is called node, and node-gpu says what is missing", async () => {
  if (installed === undefined) return console.info("tfjs-node is not installed: not tested without a card here.");
  const folder = await mkdtemp(join(tmpdir(), "no card "));
  const packages = join(folder, "node_modules", "@tensorflow");
  await mkdir(packages, { recursive: true });
  await symlink(join(installed, "..", ".."), join(packages, "tfjs-node-gpu"), "junction");
  const before = process.env.TFJS_NODE_MODULE;
  process.env.TFJS_NODE_MODULE = folder;
  try {
    await expect(useBackend("node-gpu")).rejects.toThrow(
      /finds no NVIDIA card: it needs .*CUDA 11\.2 and cuDNN 8\.1\./,
    );
    const { name, passedOver } = await useBackend();
    expect([name, ...passedOver.map((other) => other.name)]).toEqual(["node", "node-gpu"]);
  } finally {
    if (before === undefined) delete process.env.TFJS_NODE_MODULE;
    else process.env.TFJS_NODE_MODULE = before;
    await rm(folder, { recursive: true });
  }
});
