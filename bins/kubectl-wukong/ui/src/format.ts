// Times and quantities as people read them.

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s}s`;
  if (s < 600) return s % 60 ? `${Math.floor(s / 60)}m ${s % 60}s` : `${s / 60}m`;
  if (s < 3600) return `${Math.floor(s / 60)}m`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86400)}d`;
}

export function age(since: string | null | undefined, now: number): string {
  return since ? duration((now - Date.parse(since)) / 1000) : "–";
}

export function clock(time: string, language: string): string {
  return new Date(time).toLocaleString(language === "zh" ? "zh-CN" : "en-GB", {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hour12: false,
  });
}

const UNITS: [string, number][] = [
  ["Ki", 2 ** 10],
  ["Mi", 2 ** 20],
  ["Gi", 2 ** 30],
  ["Ti", 2 ** 40],
  ["k", 1e3],
  ["M", 1e6],
  ["G", 1e9],
  ["T", 1e12],
];

// A quantity of bytes in its largest unit, such as 2147483648 as 2 GiB.
export function bytes(quantity: string | number | null | undefined): string {
  if (quantity === null || quantity === undefined) return "–";
  const match = /^([0-9.]+)([A-Za-z]*)$/.exec(String(quantity));
  if (!match) return String(quantity);
  const factor = match[2] ? UNITS.find(([unit]) => unit === match[2])?.[1] : 1;
  if (factor === undefined) return String(quantity);
  let value = Number(match[1]) * factor;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (value < 1024) return `${Number(value.toFixed(1))} ${unit}`;
    value /= 1024;
  }
  return `${Number(value.toFixed(1))} TiB`;
}
