import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "@jest/globals";
import { PATIENCE } from "../platform/steady-fetch.js";
import { WeightsFormatError, WeightsReadError } from "./errors.js";
import { openSafetensors } from "./safetensors.js";
import { encodeSafetensors } from "./write-safetensors.js";

const FILE = await encodeSafetensors({ x: { dtype: "F32", shape: [300], data: new Float32Array(300).fill(2) } });

const drop: RequestListener = (_, response) => drip(response.writeHead(200, { "content-length": 1e7 }));
/** Sends a byte each twentieth of a second. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write("x"), 50);
  response.on("close", () => clearInterval(timer));
}

let server: Server | undefined;
async function serve(answer: RequestListener): Promise<string> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.safetensors`;
}
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  server = undefined;
});

type Part = { begin: number; end: number };
/** A server that supports ranges; its answer number `wrong`, counted from 0, is changed. */
function rangesBut(wrong: number, change: (part: Part) => { header?: string; body?: Uint8Array }): RequestListener {
  let count = 0;
  return (request, response) => {
    const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!;
    const part = { begin: Number(first), end: Number(last) + 1 };
    const { header, body } = count++ === wrong ? change(part) : {};
    const sound = `bytes ${part.begin}-${part.end - 1}/${FILE.length}`;
    response.writeHead(206, { "content-range": header ?? sound }).end(body ?? FILE.subarray(part.begin, part.end));
  };
}

// Requests: the size, the first bytes, the header, then one for each tensor.
const TENSOR = 3;

describe("A file at an address", () => {
  it("is read in parts: never more than requested", async () => {
    let sent = 0;
    const ranges = rangesBut(-1, () => ({}));
    const url = await serve((request, response) => {
      const [, begin, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range!)!;
      sent += Number(last) + 1 - Number(begin);
      ranges(request, response);
    });
    const file = await openSafetensors(url);
    const header = sent;
    expect(header).toBeLessThan(250);
    await file.read("x");
    expect(sent - header).toBe(1200);
  });

  it.each<[string, (part: Part) => { header?: string; body?: Uint8Array }, RegExp]>([
    [
      "another range than requested",
      ({ end }) => ({ header: `bytes 0-${end - 1}/${FILE.length}` }),
      /answered 206 with bytes 0-/,
    ],
    ["a file of another size", ({ begin, end }) => ({ header: `bytes ${begin}-${end - 1}/9999` }), /changed\?/],
    [
      "fewer bytes than announced",
      ({ begin, end }) => ({ body: FILE.subarray(begin, end - 4) }),
      /1200 bytes were requested, but 1196 came/,
    ],
  ])("is refused if the server sends %s", async (_, change, message) => {
    const file = await openSafetensors(await serve(rangesBut(TENSOR, change)));
    const read = file.read("x");
    await expect(read).rejects.toThrow(WeightsReadError);
    await expect(read).rejects.toThrow(message);
  });

  it("is refused if the connection breaks during the transfer", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": FILE.length });
      response.write(FILE.subarray(0, 100), () => response.destroy());
    });
    await expect(openSafetensors(url)).rejects.toThrow(/the connection broke/);
  });

  it.each([401, 404, 500])(
    "is refused for the status %i, without secrets of the address in the message",
    async (status) => {
      const url = await serve((_, response) => response.writeHead(status).end("no"));
      const opened = openSafetensors(`${url}?token=secret`);
      await expect(opened).rejects.toThrow(WeightsReadError);
      await expect(opened).rejects.toThrow(new RegExp(`model.safetensors: the server answered ${status}`));
      await expect(opened).rejects.not.toThrow(/secret/);
    },
  );

  it("is refused if no server answers", async () => {
    const url = await serve(() => {});
    await new Promise((resolve) => server!.close(resolve));
    await expect(openSafetensors(url)).rejects.toThrow(/cannot be reached \(connect ECONNREFUSED/);
  });

  it.each<[string, RequestListener, RegExp]>([
    ["no answer", () => undefined, /cannot be reached \(no answer in 0.3 seconds\)/],
    ["an answer of a few bytes now and then", drop, /the connection broke \(only \d+ bytes in 0.3 seconds\)/],
    [
      "a part of a few bytes now and then",
      (request, response) => {
        response.writeHead(206, { "content-range": `bytes 0-7/${FILE.length}` });
        drip(response);
      },
      /only \d+ bytes/,
    ],
  ])("is given up for %s", async (_, answer, message) => {
    PATIENCE.milliseconds = 300;
    try {
      const url = await serve(answer);
      const opened = openSafetensors(url);
      await expect(opened).rejects.toThrow(WeightsReadError);
      await expect(opened).rejects.toThrow(message);
    } finally {
      PATIENCE.milliseconds = 10_000;
    }
  });

  it("is refused if it is an error page with status 200", async () => {
    const url = await serve((_, response) => response.end("<html><body>Please log in</body></html>"));
    const opened = openSafetensors(url);
    await expect(opened).rejects.toThrow(WeightsFormatError);
    await expect(opened).rejects.toThrow(/web page/);
  });

  it("is not downloaded as a whole if it is too large", async () => {
    const url = await serve((_, response) => response.writeHead(200, { "content-length": 5e9 }).write("x"));
    await expect(openSafetensors(url)).rejects.toThrow(/does not support HTTP ranges.*5000000000 bytes. Download it/);
  });
});
