import { describe, expect, it } from "@jest/globals";
import { isSoftwareDriver } from "./software-driver.js";

describe("isSoftwareDriver", () => {
  it.each([
    "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)",
    "llvmpipe (LLVM 15.0.6, 256 bits)",
    "ANGLE (Mesa, llvmpipe (LLVM 15.0.7, 256 bits), OpenGL 4.5)",
    "softpipe",
    "ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "Apple Software Renderer",
    "Microsoft Direct3D12 (WARP)",
  ])("knows %s", (renderer) => expect(isSoftwareDriver(renderer)).toBe(true));

  it.each([
    "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 (0x00002503) Direct3D11 vs_5_0 ps_5_0, D3D11)",
    "ANGLE (Apple, ANGLE Metal Renderer: Apple M1, Unspecified Version)",
    "ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)",
    "Adreno (TM) 640",
    "Mali-G78",
    "",
  ])("takes %s for a card", (renderer) => expect(isSoftwareDriver(renderer)).toBe(false));
});
