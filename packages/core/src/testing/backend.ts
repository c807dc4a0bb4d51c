import { useBackend } from "../backend/use-backend.js";

/** The backend of tests that any backend must pass: wasm, or, so that CI can run them on others, TEST_BACKEND. */
export async function useTestBackend(): Promise<void> {
  await useBackend(process.env["TEST_BACKEND"] ?? "wasm");
}
