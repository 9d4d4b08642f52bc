// The serial console: a terminal.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import type { Open } from "./consoles";

export const open: Open = (place, url, events) => {
  const terminal = new Terminal({
    fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace",
    fontSize: 14,
    scrollback: 5000,
    cursorBlink: true,
    theme: { background: "#101418", foreground: "#e6e8ea" },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  fit.fit();
  const resized = new ResizeObserver(() => fit.fit());
  resized.observe(place);
  // The only way out of the terminal with the keyboard.
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.key !== "Escape" || !event.ctrlKey || !event.altKey) return true;
    if (event.type === "keydown") document.querySelector<HTMLElement>("nav.tabs a[aria-current]")?.focus();
    return false;
  });

  const socket = new WebSocket(url, "plain.kubevirt.io");
  socket.binaryType = "arraybuffer";
  const encoder = new TextEncoder();
  terminal.onData((data) => socket.readyState === WebSocket.OPEN && socket.send(encoder.encode(data)));
  socket.onopen = () => {
    events.opened();
    terminal.focus();
  };
  socket.onmessage = (event) => terminal.write(new Uint8Array(event.data as ArrayBuffer));
  socket.onclose = (event) => events.closed(event.code, event.reason);
  return {
    close() {
      resized.disconnect();
      socket.close();
      terminal.dispose();
    },
  };
};
