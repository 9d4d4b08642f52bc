// Requests to the plugin.

export class Refused extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

async function answer<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as T;
  let message = text || `HTTP ${response.status}`;
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? message;
  } catch {
    // The text is the message.
  }
  throw new Refused(response.status, message);
}

export async function get<T>(path: string): Promise<T> {
  return answer<T>(await fetch(path));
}

export async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = {
    method: "POST",
    headers: { "content-type": "application/json", "x-wukong-ui": "1" },
    body: JSON.stringify(body),
  };
  if (signal) init.signal = signal;
  return answer<T>(await fetch(path, init));
}

// Calls `each` for every message of a stream, and `connected` when the connection is lost or comes back. A page that is
// hidden has no stream: a browser opens only six connections to a host, for all its pages.
export function follow<T>(path: string, each: (message: T) => void, connected: (is: boolean) => void): () => void {
  let source: EventSource | null = null;
  const open = () => {
    source?.close();
    source = null;
    if (document.hidden) return;
    source = new EventSource(path);
    source.onmessage = (event) => each(JSON.parse(event.data as string) as T);
    source.onopen = () => connected(true);
    source.onerror = () => connected(false);
  };
  open();
  document.addEventListener("visibilitychange", open);
  return () => {
    document.removeEventListener("visibilitychange", open);
    source?.close();
  };
}

// Exchanges the token of the URL for the cookie, and removes it from the address.
export async function begin(): Promise<void> {
  const token = /^#token=([0-9a-f]+)$/.exec(location.hash)?.[1];
  if (!token) return;
  history.replaceState(null, "", "/#/");
  await post("/api/session", { token }).catch((error: unknown) => {
    // A page that was loaded again has the cookie already.
    if (!(error instanceof Refused)) throw error;
  });
}

export function vmPath(namespace: string, name: string, rest: string): string {
  return `/api/vms/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${rest}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
