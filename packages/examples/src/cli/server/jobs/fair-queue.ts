/**
 * Waiting jobs of several clients, taken in turn: one job of each client, then the next of each. A client that sends a
 * hundred jobs so delays another client's first job by one job only.
 */
export class FairQueue<T> {
  /** The client whose turn is next stands first. */
  readonly #waiting = new Map<string, T[]>();
  #size = 0;

  /** How many jobs wait, of one client or of all. */
  size(client?: string): number {
    return client === undefined ? this.#size : (this.#waiting.get(client)?.length ?? 0);
  }

  push(client: string, job: T): void {
    const own = this.#waiting.get(client);
    if (own) own.push(job);
    else this.#waiting.set(client, [job]);
    this.#size++;
  }

  /** The next job; undefined if none waits. */
  take(): T | undefined {
    const [first] = this.#waiting;
    if (!first) return undefined;
    const [client, [job, ...others]] = first;
    this.#waiting.delete(client);
    if (others.length > 0) this.#waiting.set(client, others);
    this.#size--;
    return job;
  }

  /** Takes a job out. Returns whether it was there. */
  remove(client: string, job: T): boolean {
    const own = this.#waiting.get(client) ?? [];
    const at = own.indexOf(job);
    if (at < 0) return false;
    own.splice(at, 1);
    if (own.length === 0) this.#waiting.delete(client);
    this.#size--;
    return true;
  }

  /** Takes out all jobs. */
  clear(): T[] {
    const all = [...this.#waiting.values()].flat();
    this.#waiting.clear();
    this.#size = 0;
    return all;
  }
}
