/**
 * The benchmark as a web page. A started backend remains for the life of its page, so every measurement is a separate
 * page in a frame of this one. Its address says what to measure; it posts its result.
 */
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-webgpu";
import { useBackend } from "@tfjs-diffusion/core";
import { WORKLOADS } from "../workloads.js";

/** The result of a frame. */
type Found = { workload: string; backend: string; milliseconds: number; flop: number } | { problem: string };

const NAMES = ["faces forward", "faces train step", "mini-sd forward"];
const RUNS = 5;

const asked = new URLSearchParams(location.search);
const backend = asked.get("backend");
if (backend) {
  const found = measure(backend, Number(asked.get("threads") ?? 1), asked.get("workload")!);
  void found
    .catch((error: Error): Found => ({ problem: error.message }))
    .then((found) => parent.postMessage(found, location.origin));
} else {
  element("isolation").textContent = crossOriginIsolated
    ? `This page is cross-origin isolated: WebAssembly may use threads, and this machine has ${navigator.hardwareConcurrency} cores.`
    : "This page is not cross-origin isolated, so WebAssembly runs on one thread.";
  element("start").addEventListener("click", () => void runAll());
  if (asked.has("report")) void runAll();
}

async function measure(backend: string, threads: number, name: string): Promise<Found> {
  const wasmPaths = new URL(".", location.href).href;
  const { detail = "" } = await useBackend(backend, backend === "wasm" ? { threads, wasmPaths } : {});
  const { run, flop } = WORKLOADS[name]!();
  let best = Infinity;
  for (let i = 0; i < RUNS + 2; i++) {
    const begin = performance.now();
    const results = tf.tidy(run);
    await results[0]!.data();
    // The first two runs compile.
    if (i >= 2) best = Math.min(best, performance.now() - begin);
    tf.dispose(results);
  }
  return { workload: name, backend: `${backend} ${detail}`.trim(), milliseconds: best, flop };
}

/** Measures everything, fills the table and, if the address asks for a report, sends the results to the server. */
async function runAll(): Promise<void> {
  (element("start") as HTMLButtonElement).disabled = true;
  const backends: [string, number][] = [["wasm", 1]];
  if (crossOriginIsolated && navigator.hardwareConcurrency > 1)
    backends.push(["wasm", Math.min(4, navigator.hardwareConcurrency)]);
  if (await hasGraphicsCard()) backends.push(["webgpu", 1]);
  const all: Found[] = [];
  for (const workload of NAMES) {
    for (const [backend, threads] of backends) {
      element("state").textContent = `${workload} on ${backend} ...`;
      const found = await inFrame(backend, threads, workload);
      all.push(found);
      addRow(workload, backend, found);
    }
  }
  element("state").textContent = "done";
  if (asked.has("report")) await fetch("report", { method: "POST", body: JSON.stringify(all) });
}

/** Also false for a driver that renders on the processor, which would take hours. */
async function hasGraphicsCard(): Promise<boolean> {
  const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<{ info: Record<string, unknown> } | null> } };
  const info = (await gpu?.requestAdapter())?.info;
  if (!info) return false;
  return (
    !info.isFallbackAdapter && !/swiftshader|llvmpipe/i.test(`${String(info.architecture)} ${String(info.description)}`)
  );
}

function inFrame(backend: string, threads: number, workload: string): Promise<Found> {
  const frame = document.createElement("iframe");
  frame.src = `?${new URLSearchParams({ backend, threads: String(threads), workload }).toString()}`;
  return new Promise((resolve) => {
    const listen = ({ source, data }: MessageEvent<Found>) => {
      if (source !== frame.contentWindow) return;
      removeEventListener("message", listen);
      frame.remove();
      resolve(data);
    };
    addEventListener("message", listen);
    document.body.append(frame);
  });
}

function addRow(workload: string, backend: string, found: Found): void {
  const cells =
    "problem" in found
      ? [workload, backend, found.problem]
      : [workload, found.backend, found.milliseconds.toFixed(1), (found.flop / found.milliseconds / 1e6).toFixed(1)];
  const row = document.createElement("tr");
  for (const text of cells) row.insertCell().textContent = text;
  element("rows").append(row);
}

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}
