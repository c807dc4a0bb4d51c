import { createHash, randomBytes } from "node:crypto";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { downloadWith, type HubOptions, type HubProgress } from "./download.js";
import { HubError, type HubFailure } from "./errors.js";
import type { HubSettings } from "./settings.js";
import { COMMIT, FakeHub, type Misbehaviour, sendFile } from "./testing/fake-hub.js";

const WEIGHTS = randomBytes(300_000);
const CONFIG = '{"_class_name": "UNet2DModel"}';
const FILES = { "config.json": CONFIG, "diffusion_pytorch_model.safetensors": WEIGHTS, "README.md": "# A model" };
const WEIGHTS_PATH = "diffusion_pytorch_model.safetensors";
const TOKEN = "hf_secretsecretsecret";

let hub: FakeHub;
let settings: HubSettings;
beforeEach(async () => {
  hub = await FakeHub.start(FILES);
  settings = {
    endpoint: hub.endpoint,
    cache: await mkdtemp(join(tmpdir(), "hub-")),
    token: TOKEN,
    offline: false,
    timeout: 300,
    attempts: 3,
    pause: 1,
  };
});
afterEach(async () => {
  await hub.stop();
  await rm(settings.cache, { recursive: true });
});

const download = (options?: HubOptions) => downloadWith(settings, "owner/name", options);
const blobs = () => readdir(join(settings.cache, "models--owner--name", "blobs")).catch(() => []);

/** Compares bytes directly, because Jest takes seconds for large arrays. */
async function expectWeights(folder: string): Promise<void> {
  expect(WEIGHTS.equals(await readFile(join(folder, WEIGHTS_PATH)))).toBe(true);
}

/** Expects every file with its final name to be complete and correct. */
async function expectSoundCache(): Promise<void> {
  const right = hub.entries().flatMap((entry) => {
    const { oid, lfs } = entry as { oid: string; lfs?: { oid: string } };
    return [oid, lfs?.oid];
  });
  for (const name of await blobs()) {
    if (name.endsWith(".tfjs-part")) continue;
    const bytes = await readFile(join(settings.cache, "models--owner--name", "blobs", name));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const sha1 = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
    expect([sha256, sha1]).toContain(name);
    expect(right).toContain(name);
  }
}

/** The error of a download that must fail, with the checks that apply to all such errors. */
async function failure(options?: HubOptions): Promise<HubError> {
  const error = await download(options).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(HubError);
  const { message, stack, cause } = error as HubError;
  expect(message).toContain(hub.endpoint);
  expect(`${message}${stack}${String(cause)}${JSON.stringify(cause ?? "")}`).not.toContain("secret");
  await expectSoundCache();
  return error as HubError;
}

/** Misbehaves at every request. */
const always =
  (act: (...heard: Parameters<Misbehaviour>) => unknown): Misbehaviour =>
  (...heard) => {
    act(...heard);
    return true;
  };

/** Misbehaves at the first `times` requests for the weights. */
const weights =
  (change: Misbehaviour, times = Infinity): Misbehaviour =>
  (request, response, context) =>
    context.path.endsWith(WEIGHTS_PATH) && context.count < times ? change(request, response, context) : false;

describe("A model of the hub", () => {
  it("is stored in the cache as in Python's huggingface_hub: blobs by hash, links in a snapshot, the ref last", async () => {
    const folder = await download();
    expect(folder).toBe(`${settings.cache}/models--owner--name/snapshots/${COMMIT}`);
    await expectWeights(folder);
    expect(await readFile(join(folder, "config.json"), "utf8")).toBe(CONFIG);
    const hash = createHash("sha256").update(WEIGHTS).digest("hex");
    expect(await readlink(join(folder, WEIGHTS_PATH))).toBe(`../../blobs/${hash}`);
    expect(await readFile(join(folder, "../../refs/main"), "utf8")).toBe(COMMIT);
    await expectSoundCache();
  });

  it("is downloaded without the files that this library does not read", async () => {
    expect((await readdir(await download())).sort()).toEqual(["config.json", WEIGHTS_PATH]);
  });

  it("is not downloaded again", async () => {
    await download();
    await download();
    expect(hub.asked(WEIGHTS_PATH)).toHaveLength(1);
  });

  it("reports its progress up to the total", async () => {
    const told: HubProgress[] = [];
    await download({ onProgress: (progress) => void told.push(progress) });
    const total = CONFIG.length + WEIGHTS.length;
    expect(told.at(-1)).toEqual({ file: WEIGHTS_PATH, received: total, total });
    expect(told.map(({ received }) => received)).toEqual(told.map(({ received }) => received).sort((a, b) => a - b));
  });

  it("replaces a file in the cache that has the wrong size", async () => {
    const folder = await download();
    const path = join(folder, await readlink(join(folder, "config.json")));
    await writeFile(path, "{}");
    expect(await readFile(join(await download(), "config.json"), "utf8")).toBe(CONFIG);
  });

  it("is taken from the cache when offline, with an error if it is not there", async () => {
    const folder = await download();
    const before = hub.heard.length;
    settings.offline = true;
    expect(await download()).toBe(folder);
    expect(await download({ revision: COMMIT })).toBe(folder);
    const error = await failure({ revision: "other" });
    expect([error.failure, error.message]).toEqual([
      "offline",
      expect.stringMatching(/does not have the revision other/),
    ]);
    expect(hub.heard).toHaveLength(before);
  });

  it("is not taken from the cache when offline if only other files were downloaded", async () => {
    const folder = await download({ files: ["config.json"] });
    settings.offline = true;
    expect(await download({ files: ["config.json"] })).toBe(folder);
    expect((await failure()).message).toMatch(/the cache .* does not have diffusion_pytorch_model.safetensors\. Unset/);
    await rm(join(folder, "../../tfjs-listings"), { recursive: true }); // A cache as Python writes it.
    expect(await download()).toBe(folder);
  });

  it("is taken from the cache, with a warning, when the hub cannot be reached", async () => {
    const folder = await download();
    const warn = jest.spyOn(console, "warn").mockImplementation(() => undefined);
    hub.misbehave = always((request) => request.destroy());
    expect(await download()).toBe(folder);
    expect(warn.mock.calls[0]![0]).toMatch(/connection failed .* Taken from the cache/);
    warn.mockRestore();
  });
});

describe("An interrupted download", () => {
  it("continues from the byte where it stopped", async () => {
    hub.misbehave = weights((_, response, { contents }) => {
      response.writeHead(200, { "content-length": contents!.length });
      response.write(contents!.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    }, 1);
    await expectWeights(await download());
    const [first, second, ...more] = hub.asked(WEIGHTS_PATH).map(({ range }) => range);
    expect([first, more]).toEqual([undefined, []]);
    const from = Number(/^bytes=(\d+)-$/.exec(second!)![1]); // Most of the bytes that arrived before the connection broke.
    expect(from).toBeGreaterThan(0);
    expect(from).toBeLessThanOrEqual(100_000);
  });

  it("is kept for the next process when it is aborted, and throws the signal's reason", async () => {
    hub.misbehave = weights((_, response, { contents }) => {
      response.writeHead(200, { "content-length": contents!.length }).write(contents!.subarray(0, 50_000));
      return true;
    }, 1);
    const stop = new AbortController();
    const reason = new Error("enough");
    const onProgress = ({ received }: HubProgress) => received >= 50_000 && stop.abort(reason);
    await expect(download({ signal: stop.signal, onProgress: onProgress })).rejects.toBe(reason);
    await expectSoundCache();
    await expectWeights(await download());
    expect(hub.asked(WEIGHTS_PATH).at(-1)!.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it("starts again if the rest was damaged, or if the server does not support ranges", async () => {
    const folder = join(settings.cache, "models--owner--name", "blobs");
    const part = join(folder, `${createHash("sha256").update(WEIGHTS).digest("hex")}.tfjs-part`);
    await mkdir(folder, { recursive: true });
    await writeFile(part, "garbage after a power failure");
    await expectWeights(await download());

    await rm(settings.cache, { recursive: true });
    await mkdir(folder, { recursive: true });
    await writeFile(part, WEIGHTS.subarray(0, 1000));
    hub.misbehave = weights(always((_, response, { contents }) => response.writeHead(200).end(contents)));
    await expectWeights(await download());
  });

  it("fails if the connection always breaks before any bytes arrive", async () => {
    hub.misbehave = weights(always((request) => request.destroy()));
    const error = await failure();
    expect(error.failure).toBe("connection");
    expect(error.message).toMatch(/the bytes received are kept/);
    expect(hub.asked(WEIGHTS_PATH)).toHaveLength(settings.attempts);
  });

  it("fails if no more bytes arrive, but not while a slow server sends", async () => {
    hub.misbehave = weights((_, response, { contents }) => {
      response.writeHead(200, { "content-length": contents!.length }).flushHeaders();
      return true;
    });
    expect((await failure()).message).toMatch(/no bytes for 0.3 seconds/);
    hub.misbehave = weights((_, response, { contents }) => {
      response.writeHead(200, { "content-length": contents!.length });
      let sent = 0;
      const drip = setInterval(() => {
        response.write(contents!.subarray(sent, (sent += 30_000)));
        if (sent >= contents!.length) response.end(() => clearInterval(drip));
      }, 60);
      return true;
    });
    await expectWeights(await download());
  });

  it.each([
    [
      "throws",
      () => {
        throw new Error("the caller's");
      },
    ],
    ["rejects later", () => new Promise((_, reject) => setTimeout(() => reject(new Error("the caller's")), 5))],
  ])("ends with the caller's error if onProgress %s", async (_, onProgress) => {
    await expect(download({ onProgress })).rejects.toThrow("the caller's");
    await expectSoundCache();
  });

  it("is given up when a server sends a byte at a time, for ever", async () => {
    const drips: NodeJS.Timeout[] = [];
    hub.misbehave = weights((_, response, { contents }) => {
      response.writeHead(200, { "content-length": contents!.length });
      let sent = 0;
      drips.push(setInterval(() => response.write(contents!.subarray(sent, ++sent)), 20));
      return true;
    });
    const error = await failure();
    drips.forEach(clearInterval);
    expect(error.failure).toBe("connection");
    expect(error.message).toMatch(/only \d+ bytes in \d\.\d seconds.*the bytes received are kept/);
  });
});

describe("The listing of a model", () => {
  it("is read page by page", async () => {
    const all = hub.entries();
    hub.misbehave = (_, response, { path, count }) => {
      if (!path.includes("/tree/")) return false;
      const isLast = count === all.length - 1;
      const headers = isLast ? {} : { link: `<${hub.endpoint}${path}?cursor=${count}>; rel="next"` };
      response.writeHead(200, headers).end(JSON.stringify([all[count]]));
      return true;
    };
    const listed = await readdir(await download());
    expect(listed.sort()).toEqual(["config.json", WEIGHTS_PATH]);
  });

  it("is requested by the name of a revision, with encoded slashes", async () => {
    await download({ revision: "refs/pr/1" });
    expect(hub.heard[0]!.url).toMatch(/^\/api\/models\/owner\/name\/revision\/refs%2Fpr%2F1\?/);
  });
});

describe("A hub with wrong answers", () => {
  it.each<[string, Misbehaviour, HubFailure]>([
    [
      "garbage of the right length",
      always((_, response, { contents }) => response.end(Buffer.alloc(contents!.length, 7))),
      "damaged",
    ],
    ["an HTML page", always((_, response) => response.end("<!DOCTYPE html><title>Log in</title>")), "connection"],
    [
      "more than announced",
      always((_, response, { contents }) => response.end(Buffer.concat([contents!, contents!]))),
      "damaged",
    ],
    ["nothing", always((_, response) => response.end()), "connection"],
    [
      "an incorrect length",
      (_, response, { contents }) => {
        response.writeHead(200, { "content-length": contents!.length });
        response.write(contents!.subarray(0, 1000), () => response.destroy());
        return true;
      },
      "connection",
    ],
    [
      "a file that is shorter than announced",
      (request, response, { contents }) => {
        if (request.headers.range) response.writeHead(416).end();
        else response.writeHead(200, { "content-length": 1000 }).end(contents!.subarray(0, 1000));
        return true;
      },
      "damaged",
    ],
    [
      "another range than requested",
      (_, response, { contents }) => {
        response
          .writeHead(206, { "content-range": `bytes 5-${contents!.length - 1}/${contents!.length}` })
          .end(contents);
        return true;
      },
      "damaged",
    ],
    [
      "compressed bytes",
      (_, response, { contents }) => {
        response.writeHead(200, { "content-encoding": "gzip" }).end(contents);
        return true;
      },
      "connection",
    ],
  ])("that sends %s leaves nothing wrong in the cache", async (_, behaviour, expected) => {
    hub.misbehave = weights(behaviour);
    expect((await failure()).failure).toBe(expected);
    hub.misbehave = () => false;
    await expectWeights(await download());
  });

  const file = { type: "file", size: 2, path: "config.json", oid: "0".repeat(40) };
  it.each<[string, unknown]>([
    ["a path out of the folder", [{ ...file, path: "../../config.json" }]],
    ["an absolute path", [{ ...file, path: "/etc/config.json" }]],
    ["a path of Windows", [{ ...file, path: "C:\\config.json" }]],
    ["a file without a hash", [{ ...file, oid: undefined }]],
    ["a hash that is a path", [{ ...file, oid: "../../../../config" }]],
    ["a file of negative size", [{ ...file, size: -1 }]],
    ["no list", { error: "none" }],
    ["invalid entries", [null]],
  ])("in its listing, with %s, is refused before anything is written", async (_, listing) => {
    hub.listing = () => listing;
    expect((await failure()).failure).toBe("damaged");
    expect(await readdir(settings.cache)).toEqual([]);
  });

  it("in a listing with endless pages is refused", async () => {
    hub.misbehave = (_, response, { path }) => {
      if (!path.includes("/tree/")) return false;
      const link = `<${hub.endpoint}${path}?cursor=again>; rel="next"`;
      response.writeHead(200, { link, "content-type": "application/json" }).end("[]");
      return true;
    };
    expect((await failure()).message).toMatch(/more than 100 pages/);
  });

  it("without a commit, or without JSON, is refused", async () => {
    hub.misbehave = always((_, response) => response.end('{"sha": "../../.."}'));
    expect((await failure()).message).toMatch(/names no commit/);
    hub.misbehave = always((_, response) => response.end("<!DOCTYPE html>"));
    expect((await failure()).message).toMatch(/not a listing of a model/);
  });
});

describe("A hub that refuses", () => {
  it.each<[number, HubFailure, RegExp, Record<string, string>?]>([
    [401, "forbidden", /HF_TOKEN is wrong, has expired/],
    [403, "forbidden", /accept its conditions/],
    [404, "not-found", /no such revision/, { "x-error-code": "RevisionNotFound" }],
    [404, "not-found", /no such model or revision/],
    [429, "rate-limited", /wait 3600 seconds/, { "retry-after": "3600" }],
    [429, "rate-limited", /Try later/],
    [500, "server", /Try later/],
    [503, "server", /Try later/],
    [418, "server", /418/],
  ])("with %d says what to do", async (status, expected, text, headers = {}) => {
    hub.misbehave = always((_, response) => response.writeHead(status, headers).end(`no ${TOKEN}`));
    const listing = await failure();
    expect([listing.failure, listing.message]).toEqual([expected, expect.stringMatching(text)]);
    hub.misbehave = weights(hub.misbehave);
    expect((await failure()).message).toMatch(text);
  });

  it("because of a missing token asks for one", async () => {
    settings.token = undefined;
    hub.misbehave = always((_, response) => response.writeHead(401).end());
    expect((await failure()).message).toMatch(/set HF_TOKEN/);
  });

  it.each([429, 500, 502, 503])("with %d for a while is requested again", async (status) => {
    hub.misbehave = weights(
      always((_, response) => response.writeHead(status, { "retry-after": "0" }).end()),
      2,
    );
    await expectWeights(await download());
  });
});

describe("The token", () => {
  /** A second host for large files. */
  async function withMirror(use: (address: string, heard: (string | undefined)[]) => Promise<void>): Promise<void> {
    const heard: (string | undefined)[] = [];
    const mirror = createServer((request, response) => {
      heard.push(request.headers.authorization);
      sendFile(request, response, WEIGHTS);
    });
    await new Promise<void>((resolve) => mirror.listen(0, "127.0.0.1", resolve));
    await use(`http://127.0.0.1:${(mirror.address() as AddressInfo).port}`, heard).finally(() => {
      mirror.closeAllConnections();
      mirror.close();
    });
  }

  it("is sent to the hub with each request", async () => {
    await download();
    expect(new Set(hub.heard.map(({ authorization }) => authorization))).toEqual(new Set([`Bearer ${TOKEN}`]));
  });

  it("is not sent to another host, nor back from it", async () => {
    await withMirror(async (address, heard) => {
      hub.misbehave = weights(
        always((_, response) => response.writeHead(302, { location: `${address}/x?signature=1` }).end()),
      );
      await expectWeights(await download());
      expect(heard).toEqual([undefined]);
    });
  });

  it("is not sent to the host of a listing's next page", async () => {
    await withMirror(async (address, heard) => {
      hub.misbehave = (_, response, { path }) => {
        if (!path.includes("/tree/")) return false;
        response.writeHead(200, { link: `<${address}/more>; rel="next"` }).end("[]");
        return true;
      };
      await failure();
      expect(heard).toEqual([undefined]);
    });
  });

  it.each(["file:///etc/passwd", "ftp://example.org/x", "http://"])(
    "is safe from a redirect to %s",
    async (location) => {
      hub.misbehave = weights(always((_, response) => response.writeHead(302, { location }).end()));
      expect((await failure()).message).toMatch(/redirects to an address that is not allowed/);
    },
  );

  it("is safe from circular redirects", async () => {
    hub.misbehave = weights(always((request, response) => response.writeHead(302, { location: request.url! }).end()));
    expect((await failure()).message).toMatch(/more than \d+ redirects/);
  });
});

describe("A request", () => {
  it.each(["name", "a/b/c", "../x", "owner/..", "owner/na me", "owner/", "https://host/x", "owner/a--b"])(
    "for %j is refused: it is not a name",
    async (name) => {
      await expect(downloadWith(settings, name)).rejects.toThrow(/expected "owner\/name"/);
    },
  );

  it.each(["../x", "", "a b", "refs/../../x", "-x"])("for the revision %j is refused", async (revision) => {
    await expect(download({ revision })).rejects.toThrow(/is not a revision/);
  });

  it("by several callers at once downloads each file once, and gives all of them the complete model", async () => {
    const folders = await Promise.all(Array.from({ length: 8 }, () => download()));
    expect(new Set(folders).size).toBe(1);
    expect(hub.asked(WEIGHTS_PATH)).toHaveLength(1);
    await expectWeights(folders[0]!);
    expect((await lstat(join(folders[0]!, WEIGHTS_PATH))).isSymbolicLink()).toBe(true);
    expect(await readdir(join(settings.cache, ".locks", "models--owner--name"))).toEqual([]);
  });

  it("says which file system error prevented writing to the cache", async () => {
    await writeFile(join(settings.cache, "models--owner--name"), "a file where a folder must be");
    const error = await failure();
    expect([error.failure, error.message]).toEqual(["disk", expect.stringMatching(/set HF_HOME/)]);
  });
});
