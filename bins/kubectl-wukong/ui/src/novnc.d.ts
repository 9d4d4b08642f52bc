// The part of noVNC that the page uses.
declare module "@novnc/novnc" {
  export default class RFB {
    constructor(target: HTMLElement, channel: WebSocket | string);
    scaleViewport: boolean;
    background: string;
    addEventListener(type: string, listener: () => void): void;
    focus(): void;
    disconnect(): void;
    sendCtrlAltDel(): void;
  }
}
