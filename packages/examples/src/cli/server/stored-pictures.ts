import { randomBytes } from "node:crypto";

/** Drawn pictures that clients fetch by a URL. Kept in memory, for a while; names cannot be guessed. */
export class StoredPictures {
  readonly #pictures = new Map<string, { png: Buffer; until: number }>();
  readonly #most: number;
  readonly #seconds: number;

  constructor({ keptPictures, keptSeconds }: { keptPictures: number; keptSeconds: number }) {
    this.#most = keptPictures;
    this.#seconds = keptSeconds;
  }

  /** Returns the name under which `get` finds it. */
  add(base64: string): string {
    const name = `${randomBytes(16).toString("hex")}.png`;
    this.#pictures.set(name, { png: Buffer.from(base64, "base64"), until: Date.now() + this.#seconds * 1000 });
    const [oldest] = this.#pictures.keys();
    if (this.#pictures.size > this.#most) this.#pictures.delete(oldest!);
    return name;
  }

  get(name: string): Buffer | undefined {
    const found = this.#pictures.get(name);
    if (!found || found.until > Date.now()) return found?.png;
    this.#pictures.delete(name);
    return undefined;
  }
}
