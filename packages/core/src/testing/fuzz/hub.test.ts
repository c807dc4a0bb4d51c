import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "@jest/globals";
import { downloadWith } from "../../hub/download.js";
import { HubError } from "../../hub/errors.js";
import type { HubSettings } from "../../hub/settings.js";
import { FakeHub, type Misbehaviour, sendFile } from "../../hub/testing/fake-hub.js";
import { campaign, pick, type Random, timeout } from "./campaign.js";

/**
 * Downloads from a hub that cuts answers off, lies about sizes and hashes, redirects, is slow or sends something else,
 * into caches whose files are damaged: each ends with the right files, or with a HubError; no wrong file gets its final
 * name, no token is sent elsewhere, and the next download from a sound hub succeeds.
 */
const FILES = {
  "config.json": '{"_class_name": "UNet2DModel"}',
  "diffusion_pytorch_model.safetensors": Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i) % 251)),
};
const TOKEN = "hf_secretsecretsecret";

let folder: string;
let hub: FakeHub;
/** Another origin, to which the hub redirects. */
let elsewhere: Server;
let sentElsewhere: string[];
let answerElsewhere: (request: IncomingMessage, response: ServerResponse) => void;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "hub faults "));
  hub = await FakeHub.start(FILES);
  elsewhere = createServer((request, response) => {
    if (request.headers.authorization !== undefined) sentElsewhere.push(request.headers.authorization);
    answerElsewhere(request, response);
  });
  await new Promise<void>((done) => elsewhere.listen(0, "127.0.0.1", done));
});
afterAll(async () => {
  elsewhere.closeAllConnections();
  elsewhere.close();
  await hub.stop();
  await rm(folder, { recursive: true });
});

type Fault = (request: IncomingMessage, response: ServerResponse, contents: Buffer) => unknown;

/** Faults of an answer, of which a random one meets a request. */
const FAULTS: readonly ((random: Random) => Fault)[] = [
  // Ends before its declared length.
  (random) => (_, response, contents) => {
    response.writeHead(200, { "content-length": contents.length });
    response.write(contents.subarray(0, random.integer(contents.length)), () => response.destroy());
  },
  // Another length than the file's, complete or not.
  (random) => (_, response, contents) => {
    const length = random.integer(2 * contents.length + 2);
    const bytes = Buffer.alloc(length, contents);
    response.writeHead(200, { "content-length": length }).end(bytes);
  },
  // Other bytes of the right length.
  (random) => (_, response, contents) => {
    const bytes = Buffer.from(contents);
    if (bytes.length > 0) bytes[random.integer(bytes.length)]! ^= 1 + random.integer(255);
    response.writeHead(200, { etag: '"0123"', "x-linked-size": "7", "x-repo-commit": "f".repeat(40) }).end(bytes);
  },
  (random) => (_, response) => {
    const status = pick(random, [204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 429, 500, 503, 504]);
    response.writeHead(status, { "retry-after": pick(random, ["0", "0", "x", "-5"]) }).end();
  },
  // A page in place of the file.
  () => (_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>Log in</html>"),
  // Another part than the one that was asked for, or of another size.
  (random) => (_, response, contents) => {
    const from = random.integer(contents.length + 5);
    const range = pick(random, [`bytes ${from}-${contents.length}/*`, "bytes */1", "x", `bytes ${from}-`]);
    response.writeHead(206, { "content-range": range }).end(contents.subarray(from));
  },
  // Silence, at once or in the middle.
  (random) => (_, response, contents) => {
    response.writeHead(200, { "content-length": contents.length });
    if (random.integer(2) === 0) response.write(contents.subarray(0, random.integer(contents.length)));
  },
  // One byte at a time.
  () => (request, response, contents) => {
    response.writeHead(200, { "content-length": contents.length });
    let at = 0;
    const timer = setInterval(() => {
      if (at < contents.length) return response.write(contents.subarray(at, ++at));
      clearInterval(timer);
      response.end();
    }, 20);
    // Not the response's event, which does not come for an answer that waits behind another one.
    request.socket.once("close", () => clearInterval(timer));
  },
  // To another origin, which sends the file, or something else, or back.
  (random) => (request, response) => {
    const port = (elsewhere.address() as AddressInfo).port;
    const targets = ["/file", "/other", "/back"].map((path) => `http://127.0.0.1:${port}${path}`);
    const odd = ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:1", "http://", "\u00e9", request.url!, ""];
    response.writeHead(pick(random, [301, 302, 303, 307, 308]), { location: pick(random, [...targets, ...odd]) }).end();
  },
];

/** Lies of the listing; each entry is of one file. */
const LIES: readonly ((entries: Record<string, unknown>[], random: Random) => unknown)[] = [
  (entries, random) => entries.map((entry) => ({ ...entry, size: random.integer(100_000), lfs: undefined })),
  (entries) => entries.map((entry) => ({ ...entry, oid: "0".repeat(40), lfs: undefined })),
  (entries) => [...entries, { ...entries[0], path: "../../../../evil.json" }],
  (entries) => [...entries, { ...entries[0], path: "/tmp/evil.json" }],
  (entries) => [...entries, ...entries],
  (entries, random) => {
    const odd = pick(random, [null, -1, 0.5, "7", {}, [], true, 2 ** 60]);
    return entries.map((entry) => ({ ...entry, [pick(random, Object.keys(entry))]: odd }));
  },
  (_, random) => pick(random, [[], {}, null, "x", 7, [null], [[]], [{}], { error: "no" }]),
];

/** Damages a file of the cache, or puts one there. */
async function damage(cache: string, random: Random): Promise<void> {
  const entries = await readdir(cache, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  if (files.length === 0) return;
  const file = pick(random, files);
  const bytes = await readFile(file);
  const isBlob = /[/\\]blobs[/\\]\w+$/.test(file);
  // A finished blob is trusted by its name and size, as in Python.
  if (isBlob) await writeFile(file, bytes.subarray(0, random.integer(bytes.length + 1)));
  else await writeFile(file, pick(random, ["", "[", "[null]", "x", '[{"path":7}]', Buffer.from([0xff, 0xfe])]));
}

function misbehaving(random: Random, share: number): Misbehaviour {
  return (request, response, { contents = Buffer.from("{}") }) => {
    if (random.uniform() >= share) return false;
    pick(random, FAULTS)(random)(request, response, contents);
    return true;
  };
}

async function expectSound(at: string): Promise<void> {
  for (const [path, contents] of Object.entries(FILES))
    expect(Buffer.from(contents).equals(await readFile(join(at, path)))).toBe(true);
}

/** Every file of the cache that has a final name has the hash of its name. */
async function expectNoWrongBlob(cache: string): Promise<void> {
  const blobs = join(cache, "models--owner--name/blobs");
  for (const name of await readdir(blobs).catch(() => [])) {
    if (!/^[0-9a-f]+$/.test(name)) continue;
    const bytes = await readFile(join(blobs, name));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const sha1 = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
    expect([sha256, sha1]).toContain(name);
  }
}

it(
  "A download from a faulty hub gives the right files or a HubError, and the next one the right files",
  async () => {
    await campaign("hub", { count: 40, typed: ["HubError"], shares: 3 }, async (random) => {
      sentElsewhere = [];
      const cache = await mkdtemp(join(folder, "cache "));
      const settings: HubSettings = {
        endpoint: hub.endpoint,
        cache,
        token: TOKEN,
        offline: false,
        timeout: 60,
        attempts: 3,
        pause: 1,
      };
      answerElsewhere = (request, response) => {
        const contents = FILES["diffusion_pytorch_model.safetensors"];
        if (request.url === "/file") sendFile(request, response, contents);
        else if (request.url === "/back") response.writeHead(302, { location: hub.endpoint }).end();
        else response.writeHead(200).end("something else");
      };
      const failures: unknown[] = [];
      let isDamaged = false;
      try {
        for (let round = 1 + random.integer(2); round > 0; round--) {
          hub.misbehave = misbehaving(random, pick(random, [0, 0.2, 0.5, 1]));
          const lies = random.integer(3) === 0;
          hub.listing = (entries) => (lies ? pick(random, LIES)(entries as never, random) : entries);
          settings.offline = random.integer(8) === 0;
          const at = await downloadWith(settings, "owner/name").catch((error: unknown) => void failures.push(error));
          if (at !== undefined && !lies && !settings.offline) await expectSound(at);
          if (!isDamaged) await expectNoWrongBlob(cache);
          isDamaged ||= random.integer(2) === 0;
          if (isDamaged) await damage(cache, random);
        }
      } finally {
        hub.misbehave = () => false;
        hub.listing = (entries) => entries;
      }
      settings.offline = false;
      await expectSound(await downloadWith({ ...settings, timeout: 2000 }, "owner/name"));
      await expectNoWrongBlob(cache);
      expect(sentElsewhere).toEqual([]);
      expect(existsSync("/tmp/evil.json") || existsSync(join(folder, "evil.json"))).toBe(false);
      for (const error of failures) {
        if (!(error instanceof HubError)) throw error as Error;
        expect(`${error.message}${error.stack}${JSON.stringify(error.cause ?? "")}`).not.toContain("secret");
      }
      await rm(cache, { recursive: true });
      return failures.length > 0 ? "HubError, then sound" : "accepted";
    });
  },
  timeout(3),
);
