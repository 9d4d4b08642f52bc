// Small parts that several views use.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { useShared } from "./context";

const TONES: Record<string, string> = {
  Running: "good",
  Error: "bad",
  Pending: "wait",
  Creating: "wait",
  Starting: "wait",
  Stopping: "wait",
  Migrating: "wait",
  Deleting: "wait",
  Paused: "calm",
  Stopped: "calm",
  Succeeded: "good",
  Failed: "bad",
  Preparing: "wait",
  Switching: "wait",
};

export function tone(phase: string | null | undefined): string {
  return TONES[phase ?? ""] ?? "calm";
}

export function Phase({ phase }: { phase: string | null | undefined }) {
  const { named } = useShared();
  return (
    <span class={`badge ${tone(phase)}`}>
      <span class="dot" aria-hidden="true" />
      {named("phase", phase ?? "Unknown")}
    </span>
  );
}

export function Card(props: { title?: string; note?: ComponentChildren; class?: string; children: ComponentChildren }) {
  return (
    <section class={`card ${props.class ?? ""}`}>
      {props.title && (
        <header>
          <h2>{props.title}</h2>
          {props.note && <span class="note">{props.note}</span>}
        </header>
      )}
      {props.children}
    </section>
  );
}

export function Table(props: { label: string; head: string[]; rows: ComponentChildren[][] }) {
  return (
    <div class="scroll" role="region" aria-label={props.label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {props.head.map((title) => (
              <th scope="col" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {props.rows.map((cells, index) => (
            <tr key={index}>
              {cells.map((cell, column) => (
                <td key={column} data-title={props.head[column]}>
                  <div>{cell}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function Dialog(props: { title: string; wide?: boolean; onClose: () => void; children: ComponentChildren }) {
  const { t } = useShared();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={props.wide ? "wide" : ""}
      aria-labelledby="dialog-title"
      onClose={props.onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <div class="inside">
        <header>
          <h2 id="dialog-title">{props.title}</h2>
          <button type="button" class="plain" aria-label={t("close")} onClick={() => dialog.current?.close()}>
            ✕
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  );
}

export function Empty(props: { title: string; text?: ComponentChildren; bad?: boolean; children?: ComponentChildren }) {
  return (
    <div class={`empty ${props.bad ? "bad" : ""}`} role={props.bad ? "alert" : undefined}>
      <div class="mark" aria-hidden="true">
        {props.bad ? "!" : "○"}
      </div>
      <h2>{props.title}</h2>
      {props.text && <p>{props.text}</p>}
      {props.children && <p class="actions">{props.children}</p>}
    </div>
  );
}

export function Code({ text, label }: { text: string; label: string }) {
  const { t, notify } = useShared();
  const copy = () =>
    navigator.clipboard
      ?.writeText(text)
      .then(() => notify(t("copied")))
      .catch(() => {});
  return (
    <div class="code">
      <button type="button" class="small" onClick={copy}>
        {t("copy")}
      </button>
      <pre tabIndex={0} role="region" aria-label={label}>
        {text}
      </pre>
    </div>
  );
}
