import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "@jest/globals";
import { HubError } from "./errors.js";
import { hubSettings } from "./settings.js";

const NOWHERE = { HF_TOKEN_PATH: "/nowhere/token" };

describe("The hub's settings", () => {
  it("are by default those of Python's huggingface_hub", async () => {
    expect(await hubSettings(NOWHERE)).toMatchObject({
      endpoint: "https://huggingface.co",
      cache: join(homedir(), ".cache/huggingface/hub"),
      token: undefined,
      offline: false,
      timeout: 10_000,
    });
  });

  it.each<[NodeJS.ProcessEnv, string]>([
    [{ XDG_CACHE_HOME: "/x" }, "/x/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/x", HF_HOME: "/h" }, "/h/hub"],
    [{ HF_HOME: "~/h" }, `${homedir()}/h/hub`],
    [{ HF_HOME: "/h", HF_HUB_CACHE: "/c" }, "/c"],
    [{ HF_HOME: "" }, join(homedir(), ".cache/huggingface/hub")],
  ])("set the cache by %j", async (environment, expected) => {
    expect((await hubSettings({ ...NOWHERE, ...environment })).cache).toBe(expected);
  });

  it("prefer the token of the environment to the one stored at login", async () => {
    const home = await mkdtemp(join(tmpdir(), "hub-home-"));
    await writeFile(join(home, "token"), "hf_stored\n");
    expect((await hubSettings({ HF_HOME: home })).token).toBe("hf_stored");
    expect((await hubSettings({ HF_HOME: home, HF_TOKEN: " hf_own\n" })).token).toBe("hf_own");
    await rm(home, { recursive: true });
  });

  it.each([
    ["1", true],
    ["ON", true],
    ["true", true],
    ["0", false],
    ["", false],
  ])("with HF_HUB_OFFLINE=%s are offline: %s", async (HF_HUB_OFFLINE, offline) => {
    expect((await hubSettings({ ...NOWHERE, HF_HUB_OFFLINE })).offline).toBe(offline);
  });

  it("have the mirror as endpoint, without a trailing slash", async () => {
    expect((await hubSettings({ ...NOWHERE, HF_ENDPOINT: "https://mirror.example/hf/" })).endpoint).toBe(
      "https://mirror.example/hf",
    );
  });

  it.each<[NodeJS.ProcessEnv, RegExp]>([
    [{ HF_ENDPOINT: "mirror.example" }, /HF_ENDPOINT must be an address/],
    [{ HF_ENDPOINT: "https://user:secret@mirror.example" }, /HF_ENDPOINT must be an address/],
    [{ HF_ENDPOINT: "file:///secret" }, /HF_ENDPOINT must be an address/],
    [{ HF_TOKEN: "hf_sec\nret" }, /Copy it again/],
    [{ HF_TOKEN: "hf_secrét" }, /Copy it again/],
  ])("refuse %j, and do not repeat it", async (environment, expected) => {
    const error = (await hubSettings({ ...NOWHERE, ...environment }).catch((error: unknown) => error)) as Error;
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(expected);
    expect(error.message).not.toMatch(/secr|user:|hf_sec/);
  });
});
