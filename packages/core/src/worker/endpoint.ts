/** An end of a channel of messages: a `Worker`, a `MessagePort`, or the global scope of a worker, here or in Node. */
export interface Endpoint {
  /** Sends a copy of a message. */
  postMessage(message: unknown): void;
  /** The listeners of browsers … */
  addEventListener?(type: string, listener: (event: Event) => void): void;
  /** … and those of Node. */
  on?(type: string, listener: (value: unknown) => void): unknown;
  /** Message ports in browsers wait for this call. */
  start?(): void;
  /** Ends a worker. */
  terminate?(): unknown;
  /** Ends a message port. */
  close?(): void;
}

/** What {@link listen} calls. */
export interface Listener {
  onMessage(message: unknown): void;
  /** The other end is gone, or a message could not be read. */
  onFailure?(error: Error): void;
}

/** Calls a listener with all that an endpoint reports. */
export function listen(endpoint: Endpoint, { onMessage, onFailure = () => {} }: Listener): void {
  const unreadable = () => onFailure(new Error("A message between page and worker could not be read."));
  if (endpoint.addEventListener) {
    endpoint.addEventListener("message", (event) => onMessage((event as MessageEvent).data));
    endpoint.addEventListener("messageerror", unreadable);
    // A file that is missing or cannot be parsed gives an event without a message.
    endpoint.addEventListener("error", (event) => {
      const { message } = event as ErrorEvent;
      onFailure(new Error(`The worker failed: ${message || "its script cannot be loaded"}.`));
    });
    endpoint.start?.();
    return;
  }
  endpoint.on!("message", onMessage);
  endpoint.on!("messageerror", unreadable);
  endpoint.on!("error", (error) =>
    onFailure(new Error(`The worker failed: ${(error as Error).message}`, { cause: error })),
  );
  endpoint.on!("exit", (code) => onFailure(new Error(`The worker ended with code ${String(code)}.`)));
}
