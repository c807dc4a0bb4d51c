/**
 * Whether a graphics driver, by its own description, runs on the CPU: SwiftShader (Chromium), llvmpipe, lavapipe and
 * softpipe (Mesa), WARP (Windows), Apple's software renderer.
 */
export function isSoftwareDriver(description: string): boolean {
  return /swiftshader|llvmpipe|lavapipe|softpipe|microsoft basic render|\bwarp\b|software/i.test(description);
}

/** Why a software driver is skipped; continues a sentence that begins with the backend's name. */
export function softwareReason(description: string): string {
  return `its driver draws on the processor (${description}), which is slower than wasm.`;
}
