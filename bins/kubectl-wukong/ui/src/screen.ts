// The graphical console.
import RFB from "@novnc/novnc";
import type { Open } from "./consoles";

export const open: Open = (place, url, events) => {
  const socket = new WebSocket(url, "binary");
  let end = { code: 1006, reason: "" };
  socket.addEventListener("close", (event) => {
    end = { code: event.code, reason: event.reason };
  });
  const screen = new RFB(place, socket);
  screen.scaleViewport = true;
  screen.background = "#101418";
  screen.addEventListener("connect", () => {
    events.opened();
    screen.focus();
  });
  screen.addEventListener("disconnect", () => events.closed(end.code, end.reason));
  return {
    close: () => screen.disconnect(),
    sendKeys: () => screen.sendCtrlAltDel(),
  };
};
