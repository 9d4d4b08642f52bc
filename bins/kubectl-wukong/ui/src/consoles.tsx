// The consoles of a guest. Their code is loaded when one is opened.
import { useEffect, useRef, useState } from "preact/hooks";
import { useShared } from "./context";
import { vmPath } from "./net";
import { Empty } from "./parts";

// What the two kinds of consoles have in common.
export interface Console {
  close(): void;
  sendKeys?(): void;
}
export type Open = (
  place: HTMLElement,
  url: string,
  events: { opened: () => void; closed: (code: number, reason: string) => void },
) => Console;

const IN_USE = 4009;
const REFUSED = 4010;

type State = { name: "idle" | "connecting" | "open" } | { name: "closed"; code: number; reason: string };

async function load(kind: "serial" | "screen"): Promise<Open> {
  const path = `/assets/${kind}.js`;
  const module = (await import(path)) as { open: Open };
  return module.open;
}

// A script cannot import a style sheet.
function style(name: string) {
  if (document.querySelector(`link[href="${name}"]`)) return;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = name;
  document.head.append(link);
}

export function Consoles(props: {
  namespace: string;
  name: string;
  kind: "serial" | "screen";
  running: boolean;
  instance: string;
}) {
  const { t } = useShared();
  const place = useRef<HTMLDivElement>(null);
  const open = useRef<Console | null>(null);
  const [state, setState] = useState<State>({ name: "idle" });

  const connect = async (take: boolean) => {
    open.current?.close();
    setState({ name: "connecting" });
    if (props.kind === "serial") style("/assets/serial.css");
    const start = await load(props.kind);
    const box = place.current;
    if (!box) return;
    box.replaceChildren();
    const call = props.kind === "serial" ? "console" : "vnc";
    const url = new URL(vmPath(props.namespace, props.name, `${call}${take ? "?take=true" : ""}`), location.href);
    url.protocol = "ws:";
    let current = true;
    const opened = start(box, url.href, {
      opened: () => current && setState({ name: "open" }),
      closed: (code, reason) => current && setState({ name: "closed", code, reason }),
    });
    open.current = {
      ...opened,
      sendKeys: () => opened.sendKeys?.(),
      close: () => {
        current = false;
        opened.close();
      },
    };
  };

  useEffect(() => {
    if (props.running) void connect(false);
    return () => open.current?.close();
  }, [props.running, props.instance]);

  if (!props.running) return <Empty title={t("consoleStopped")} />;
  const words =
    state.name === "closed"
      ? state.code === IN_USE
        ? t("inUse")
        : state.code === REFUSED
          ? `${t("consoleRefused")}: ${state.reason}`
          : `${t("consoleEnded")} ${state.reason}`
      : "";
  return (
    <section class="console" aria-label={t(props.kind)}>
      <div class="line">
        <span class={`badge ${state.name === "open" ? "good" : state.name === "closed" ? "bad" : "wait"}`} role="status">
          <span class="dot" aria-hidden="true" />
          {state.name === "open" ? t("connected") : state.name === "closed" ? t("disconnected") : t("connecting")}
        </span>
        <span class="dim">{props.kind === "serial" ? t("consoleHint") : ""}</span>
        <span class="grow" />
        {props.kind === "screen" && state.name === "open" && (
          <button type="button" onClick={() => open.current?.sendKeys?.()}>
            {t("sendKeys")}
          </button>
        )}
        {state.name === "closed" &&
          (state.code === IN_USE ? (
            <button type="button" class="primary" onClick={() => void connect(true)}>
              {t("takeOver")}
            </button>
          ) : (
            <button type="button" onClick={() => void connect(false)}>
              {t("reconnect")}
            </button>
          ))}
      </div>
      {words && (
        <p class="banner bad" role="alert">
          {words}
        </p>
      )}
      <div class={`display ${props.kind}`} ref={place} hidden={state.name === "closed" && state.code === REFUSED} />
    </section>
  );
}
