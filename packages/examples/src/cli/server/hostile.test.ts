/** Requests that are wrong, too large, too slow or meant to do harm, each answered by an error that says why. */
import { connect } from "node:net";
import { deflateSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "@jest/globals";
import type { FastifyInstance } from "fastify";
import WebSocket from "ws";
import { createServer } from "./app.js";
import { FakeQueue, greyPng, localSettings } from "./testing/fake-queue.js";

const LIMITS = { body: 200_000, sentPixels: 1_000_000, requestTime: 700, area: 4, pictures: 4, steps: 50, live: 2 };

let queue: FakeQueue;
let app: FastifyInstance;
let port: number;
let png: Buffer;

beforeAll(async () => {
  queue = new FakeQueue();
  app = await createServer(localSettings({ allowedOrigins: ["https://friend.example"] }, LIMITS), queue);
  await app.listen({ host: "127.0.0.1", port: 0 });
  port = (app.server.address() as { port: number }).port;
  png = await greyPng(32, 32);
});
afterAll(() => app.close());
beforeEach(() => {
  queue.jobs.length = 0;
  queue.signals.length = 0;
});

const address = (path: string) => `http://127.0.0.1:${port}${path}`;

interface Request {
  method?: string;
  headers?: Record<string, string>;
  body?: RequestInit["body"];
}

async function ask(path: string, { method = "POST", headers, body }: Request = {}) {
  const response = await fetch(address(path), { method, ...(headers && { headers }), ...(body != null && { body }) });
  const text = await response.text();
  return { status: response.status, type: response.headers.get("content-type"), text };
}

const json = (body: unknown): Request => ({
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body),
});

function form(fields: Record<string, string | Buffer | (string | Buffer)[]>): Request {
  const body = new FormData();
  for (const [name, values] of Object.entries(fields)) {
    for (const value of [values].flat()) {
      if (typeof value === "string") body.append(name, value);
      else body.append(name, new Blob([new Uint8Array(value)], { type: "image/png" }), `${name}.png`);
    }
  }
  return { body };
}

/** A PNG file whose header asks for so many pixels. */
function hugePng(side: number): Buffer {
  const bytes = Buffer.from(png);
  bytes.writeUInt32BE(side, 16);
  bytes.writeUInt32BE(side, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

const TEXT = "/v1/images/generations";
const EDIT = "/v1/images/edits";
const VARIATION = "/v1/images/variations";
const TXT2IMG = "/sdapi/v1/txt2img";
const IMG2IMG = "/sdapi/v1/img2img";
const prompt = "a cube";
const base64 = () => png.toString("base64");

/** Each: what is sent, the status, and what the answer says. */
const CASES: [string, string, () => Request, number, RegExp][] = [
  // Bodies that are no JSON, or not the JSON that is expected.
  ["no body", TEXT, () => ({}), 400, /body/],
  ["an empty body", TEXT, () => json(""), 400, /body/i],
  ["broken JSON", TEXT, () => json('{"prompt": "a'), 400, /JSON/],
  ["JSON with a prototype", TEXT, () => json('{"prompt": "a", "__proto__": {"n": 9}}'), 400, /JSON/],
  ["a constructor's prototype", TEXT, () => json('{"constructor": {"prototype": {}}}'), 400, /JSON/],
  ["a list", TEXT, () => json([]), 400, /body/],
  ["a number", TEXT, () => json("7"), 400, /body/],
  ["null", TEXT, () => json("null"), 400, /body/],
  ["deeply nested lists", TEXT, () => json(`{"prompt":${"[".repeat(50_000)}${"]".repeat(50_000)}}`), 400, /prompt/],
  ["a body of plain text", TEXT, () => ({ headers: { "content-type": "text/plain" }, body: "hello" }), 400, /body/],
  ["a body of XML", TEXT, () => ({ headers: { "content-type": "text/xml" }, body: "<a/>" }), 415, /media/i],
  ["a body without a type", TEXT, () => ({ body: new Uint8Array([1, 2]) }), 415, /media/i],
  ["a body above the limit", TEXT, () => json({ prompt: "a".repeat(300_000) }), 413, /large/],
  // OpenAI's calls.
  ["no prompt", TEXT, () => json({}), 400, /'prompt'/],
  ["an empty prompt", TEXT, () => json({ prompt: "" }), 400, /'prompt'/],
  ["a prompt that is a number", TEXT, () => json({ prompt: 7 }), 400, /'prompt'/],
  ["a prompt that is too long", TEXT, () => json({ prompt: "a".repeat(40_000) }), 400, /'prompt'/],
  ["an unknown parameter", TEXT, () => json({ prompt, foo: 1 }), 400, /'foo'/],
  ["an unknown model", TEXT, () => json({ prompt, model: "gpt" }), 404, /'gpt'.*fake/],
  ["a model that is a path", TEXT, () => json({ prompt, model: "../../etc/passwd" }), 404, /does not exist/],
  ["a model that is a URL", TEXT, () => json({ prompt, model: "http://evil.example/m" }), 404, /does not exist/],
  ["no pictures", TEXT, () => json({ prompt, n: 0 }), 400, /'n'/],
  ["half a picture", TEXT, () => json({ prompt, n: 1.5 }), 400, /'n'/],
  ["a number as text", TEXT, () => json({ prompt, n: "2" }), 400, /'n'/],
  ["too many pictures", TEXT, () => json({ prompt, n: 5 }), 400, /'n'.*at most 4/],
  ["1e9 pictures", TEXT, () => json({ prompt, n: 1e9 }), 400, /'n'/],
  ["a size in words", TEXT, () => json({ prompt, size: "large" }), 400, /'size'/],
  ["a size of zero", TEXT, () => json({ prompt, size: "0x32" }), 400, /'size'/],
  ["a negative size", TEXT, () => json({ prompt, size: "-32x32" }), 400, /'size'/],
  ["a size above the limit", TEXT, () => json({ prompt, size: "1024x1024" }), 400, /'size'.*too large/],
  ["a huge size", TEXT, () => json({ prompt, size: "99999x99999" }), 400, /'size'/],
  ["an unknown format of answers", TEXT, () => json({ prompt, response_format: "jpeg" }), 400, /b64_json.*url/],
  ["a format of files that is not there", TEXT, () => json({ prompt, output_format: "webp" }), 400, /png/],
  ["a transparent background", TEXT, () => json({ prompt, background: "transparent" }), 400, /opaque/],
  ["partial pictures without a stream", TEXT, () => json({ prompt, partial_images: 2 }), 400, /stream/],
  ["too many partial pictures", TEXT, () => json({ prompt, stream: true, partial_images: 9 }), 400, /partial_images/],
  ["DALL-E 3's style", TEXT, () => json({ prompt, style: "vivid" }), 400, /'style'/],
  // Forms.
  ["an edit as JSON", EDIT, () => json({ prompt }), 415, /multipart/],
  ["an edit without a picture", EDIT, () => form({ prompt }), 400, /'image'/],
  ["an edit without a prompt", EDIT, () => form({ image: png }), 400, /'prompt'/],
  ["an unknown file", EDIT, () => form({ prompt, image: png, video: png }), 400, /'video'/],
  ["two pictures", EDIT, () => form({ prompt, "image[]": [png, png] }), 400, /'image'.*more than once/],
  ["two prompts", EDIT, () => form({ prompt: [prompt, prompt], image: png }), 400, /'prompt'.*more than once/],
  ["a picture that is text", EDIT, () => form({ prompt, image: Buffer.from("hello") }), 400, /'image'.*PNG/],
  ["an empty picture", EDIT, () => form({ prompt, image: Buffer.alloc(0) }), 400, /'image'/],
  ["a picture that is cut off", EDIT, () => form({ prompt, image: png.subarray(0, 20) }), 400, /'image'.*cut off/],
  ["a picture of 65,535 x 65,535", EDIT, () => form({ prompt, image: hugePng(65_535) }), 400, /at most 1000000/],
  ["a mask of 20,000 x 20,000", EDIT, () => form({ prompt, image: png, mask: hugePng(20_000) }), 400, /'mask'/],
  ["a file above the limit", EDIT, () => form({ prompt, image: Buffer.alloc(300_000) }), 413, /large/],
  ["a picture in a text field", EDIT, () => form({ prompt, image: "hello" }), 400, /'image'/],
  ["a form of a hundred fields", EDIT, () => form(Object.fromEntries(hundred("f"))), 413, /limit/],
  ["n in words", EDIT, () => form({ prompt, image: png, n: "two" }), 400, /'n'/],
  [
    "a form that is cut off",
    EDIT,
    () => ({ headers: { "content-type": "multipart/form-data; boundary=x" }, body: "--x\r\nContent-Dispo" }),
    400,
    /form|end/i,
  ],
  [
    "a form without a border",
    EDIT,
    () => ({ headers: { "content-type": "multipart/form-data" }, body: "hello" }),
    400,
    /boundary/i,
  ],
  ["a variation of nothing", VARIATION, () => form({ n: "1" }), 400, /'image'/],
  ["a variation with a prompt", VARIATION, () => form({ prompt, image: png }), 400, /'prompt'/],
  // AUTOMATIC1111's calls.
  ["an unknown field", TXT2IMG, () => json({ prompt, foo: 1 }), 422, /foo/],
  ["a script", TXT2IMG, () => json({ prompt, script_name: "xyz plot" }), 422, /script_name/],
  [
    "scripts that are always on",
    TXT2IMG,
    () => json({ prompt, alwayson_scripts: { controlnet: {} } }),
    422,
    /alwayson/,
  ],
  ["face restoration", TXT2IMG, () => json({ prompt, restore_faces: true }), 422, /restore_faces/],
  ["high resolution in a second pass", TXT2IMG, () => json({ prompt, enable_hr: true }), 422, /enable_hr/],
  ["an unknown sampler", TXT2IMG, () => json({ prompt, sampler_name: "Best" }), 404, /Sampler not found: Best/],
  ["a sampler that fails with this model", TXT2IMG, () => json({ prompt, sampler_name: "Heun" }), 404, /not work/],
  ["an unknown schedule", TXT2IMG, () => json({ prompt, scheduler: "Best" }), 404, /Scheduler not found/],
  ["too many steps", TXT2IMG, () => json({ prompt, steps: 1000 }), 422, /steps/],
  ["too many pictures by two fields", TXT2IMG, () => json({ prompt, batch_size: 3, n_iter: 2 }), 422, /batch_size/],
  ["a width of 1e9", TXT2IMG, () => json({ prompt, width: 1e9 }), 422, /width/],
  ["a strip of 65,536 x 8", TXT2IMG, () => json({ prompt, width: 65_536, height: 8 }), 422, /too large/],
  ["a seed that is text", TXT2IMG, () => json({ prompt, seed: "7" }), 422, /seed/],
  ["guidance of 1e38", TXT2IMG, () => json({ prompt, cfg_scale: 1e38 }), 422, /cfg_scale/],
  [
    "an unknown model in the settings",
    TXT2IMG,
    () => json({ override_settings: { sd_model_checkpoint: "x" } }),
    404,
    /x/,
  ],
  ["an unknown setting", "/sdapi/v1/options", () => json({ outdir_samples: "/etc" }), 422, /outdir_samples/],
  ["no picture", IMG2IMG, () => json({ prompt }), 422, /init_images/],
  ["a picture by its path", IMG2IMG, () => json({ prompt, init_images: ["/etc/passwd"] }), 422, /PNG|base64/],
  ["a picture by its URL", IMG2IMG, () => json({ prompt, init_images: ["http://10.0.0.1/x.png"] }), 422, /base64/],
  ["a picture of a file: URL", IMG2IMG, () => json({ prompt, init_images: ["file:///etc/passwd"] }), 422, /base64/],
  ["a bomb", IMG2IMG, () => json({ prompt, init_images: [hugePng(30_000).toString("base64")] }), 422, /at most/],
  [
    "a fill that is not there",
    IMG2IMG,
    () => json({ prompt, init_images: [base64()], mask: base64(), inpainting_fill: 2 }),
    422,
    /inpainting_fill/,
  ],
  [
    "settings of a file that is none",
    "/sdapi/v1/png-info",
    () => json({ image: deflateSync(Buffer.alloc(9999)).toString("base64") }),
    422,
    /PNG/,
  ],
  // Paths.
  ["an unknown path", "/v1/chat/completions", () => json({}), 404, /not here/],
  ["a path upwards", "/pictures/..%2f..%2fpackage.json", () => ({ method: "GET" }), 404, /no such picture/],
  ["a path with a null", "/pictures/a%00.png", () => ({ method: "GET" }), 404, /no such picture/],
  ["a path that cannot be read", "/pictures/%E0%A4%A", () => ({ method: "GET" }), 400, /valid|url/i],
  ["a long path", `/pictures/${"a".repeat(5000)}`, () => ({ method: "GET" }), 414, /long|max/i],
  ["a wrong method", TEXT, () => ({ method: "DELETE" }), 404, /not here/],
  // Other pages.
  ["another page", TEXT, () => ({ ...json({ prompt }), headers: of("https://evil.example") }), 403, /evil\.example/],
  ["a page without an origin", TEXT, () => ({ ...json({ prompt }), headers: of("null") }), 403, /null/],
  ["another port's page", TEXT, () => ({ ...json({ prompt }), headers: of("http://127.0.0.1:1") }), 403, /127/],
  ["another page's preflight", TEXT, () => ({ method: "OPTIONS", headers: of("https://evil.example") }), 403, /evil/],
];

const of = (origin: string) => ({ "content-type": "application/json", origin });
const hundred = (name: string): [string, string][] => Array.from({ length: 100 }, (_, i) => [`${name}${i}`, "x"]);

describe("Hostile requests", () => {
  it.each(CASES)("%s", async (_, path, request, status, message) => {
    const answer = await ask(path, request());
    expect(answer).toMatchObject({
      status,
      type: expect.stringContaining("application/json"),
      text: expect.stringMatching(message),
    });
    expect(queue.jobs).toEqual([]);
  });

  it("are more than sixty", () => {
    expect(CASES.length).toBeGreaterThan(60);
  });

  it("leave the server as it was", async () => {
    expect((await ask(TEXT, json({ prompt }))).status).toBe(200);
    expect(queue.jobs).toHaveLength(1);
  });

  it.each([
    ["another name", "evil.example"],
    ["no name", ""],
    ["a name that only begins so", "localhost.evil.example"],
  ])("addressed to %s are refused before they are read", async (_, host) => {
    const text = await exchange(`GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1.1 421 /);
  });

  it.each([
    ["is no HTTP", "hello\r\n\r\n", /^HTTP\/1.1 400 /],
    ["has no Host", "GET /health HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400 /],
    [
      "has headers of 100 kB",
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"a".repeat(100_000)}\r\n\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    [
      "says two lengths",
      "POST /v1/images/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
      /^HTTP\/1.1 400 /,
    ],
    ["never ends its headers", "GET /health HTTP/1.1\r\nHost: loc", /^HTTP\/1.1 408 /],
    [
      "never ends its body",
      `POST ${TEXT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{`,
      /^HTTP\/1.1 408 /,
    ],
  ])("a request that %s", async (_, sent, expected) => {
    expect(await exchange(sent)).toMatch(expected);
  });

  it("lets an allowed page in, and tells its browser", async () => {
    const headers = { ...of("https://friend.example"), "access-control-request-method": "POST" };
    const preflight = await fetch(address(TEXT), { method: "OPTIONS", headers });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("https://friend.example");
    expect((await ask(TEXT, { ...json({ prompt }), headers: of("https://friend.example") })).status).toBe(200);
  });

  it("stops a drawing whose client has gone", async () => {
    queue.isStuck = true;
    try {
      const abort = new AbortController();
      const request = fetch(address(TEXT), { ...json({ prompt }), method: "POST", signal: abort.signal });
      const outcome = expect(request).rejects.toThrow();
      await until(() => queue.jobs.length === 1);
      abort.abort();
      await outcome;
      await until(() => queue.signals.at(-1)!.aborted);
    } finally {
      queue.isStuck = false;
    }
  });
});

describe("Hostile messages of a live drawing", () => {
  it.each([
    ["is no JSON", "hello", /not JSON/],
    ["is a list", "[]", /body/],
    ["has no prompt", "{}", /'prompt'/],
    ["has an unknown field", '{"prompt":"a","foo":1}', /'foo'/],
    ["asks for too many steps", '{"prompt":"a","steps":9999}', /steps/],
    ["asks for too many pixels", '{"prompt":"a","width":9999}', /too large/],
    ["names an unknown sampler", '{"prompt":"a","sampler":"toString"}', /Sampler not found: toString/],
    ["has a mask and no picture", '{"prompt":"a","mask":"AAAA"}', /'image'/],
    ["names a file as its picture", '{"prompt":"a","image":"/etc/passwd.png"}', /URLs and paths are not read/],
    ["sends a text as its picture", '{"prompt":"a","image":"aGVsbG8="}', /PNG/],
  ])("a message that %s", async (_, sent, expected) => {
    const socket = await open();
    socket.send(sent);
    const answer = await new Promise<string>((resolve) =>
      socket.once("message", (data) => resolve((data as Buffer).toString())),
    );
    expect(JSON.parse(answer)).toMatchObject({ type: "error", message: expect.stringMatching(expected) });
    await closed(socket);
  });

  it("a message of a megabyte ends the connection", async () => {
    const socket = await open();
    const code = new Promise((resolve) => socket.once("close", resolve));
    socket.send("a".repeat(2 ** 20));
    expect(await code).toBe(1009);
  });

  it("more connections than allowed are refused, and other pages'", async () => {
    const [one, two] = [await open(), await open()];
    const third = new WebSocket(`ws://127.0.0.1:${port}/live`);
    expect(await new Promise((resolve) => third.once("close", resolve))).toBe(1013);
    await closed(one);
    await closed(two);
    const other = new WebSocket(`ws://127.0.0.1:${port}/live`, { origin: "https://evil.example" });
    const [, response] = await new Promise<[unknown, { statusCode?: number }]>((resolve) =>
      other.once("unexpected-response", (...all) => resolve(all)),
    );
    expect(response.statusCode).toBe(403);
  });

  it("of many messages only the last is drawn to its end", async () => {
    queue.isStuck = true;
    const socket = await open();
    for (let i = 0; i < 20; i++) socket.send(JSON.stringify({ id: i, prompt: "a".repeat(i + 1) }));
    await until(() => queue.signals.filter(({ aborted }) => !aborted).length >= 1 && queue.jobs.length > 0);
    queue.isStuck = false;
    const answer = new Promise<string>((resolve) =>
      socket.once("message", (data) => resolve((data as Buffer).toString())),
    );
    socket.send(JSON.stringify({ id: 99, prompt: "the last" }));
    expect(JSON.parse(await answer)).toMatchObject({ type: "picture", id: 99 });
    await until(() => queue.signals.slice(0, -1).every(({ aborted }) => aborted));
    await closed(socket);
  });
});

describe("A server with a token", () => {
  let guarded: FastifyInstance;
  let at: string;
  beforeAll(async () => {
    guarded = await createServer(localSettings({ token: "secret" }), queue);
    at = await guarded.listen({ host: "127.0.0.1", port: 0 });
  });
  afterAll(() => guarded.close());
  const status = async (path: string, headers: Record<string, string>) => (await fetch(at + path, { headers })).status;

  it.each([
    ["no token", {}],
    ["a wrong token", { authorization: "Bearer wrong" }],
    ["a token in another way", { authorization: "Basic secret" }],
    ["an empty token", { authorization: "Bearer " }],
  ])("refuses %s", async (_, headers: Record<string, string>) => {
    for (const url of ["/v1/models", "/sdapi/v1/options", "/metrics", "/", "/openapi.json"]) {
      expect(await status(url, headers)).toBe(401);
    }
  });

  it("serves who has it, and tells anybody whether it runs", async () => {
    expect(await status("/v1/models", { authorization: "Bearer secret" })).toBe(200);
    expect(await status("/health", {})).toBe(200);
  });
});

async function exchange(sent: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.on("error", () => undefined);
  socket.write(sent);
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/live`);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
}

async function closed(socket: WebSocket): Promise<void> {
  const end = new Promise((resolve) => socket.once("close", resolve));
  socket.close();
  await end;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10));
}
