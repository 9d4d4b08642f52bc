// What every part of the page shares: language, theme, place, and short notices.
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { About } from "./model";
import { WORDS, type Language, type Word } from "./words";

export interface Shared {
  about: About;
  language: Language;
  t: (word: Word, values?: Record<string, string | number>) => string;
  // A word that may not be in the catalogue, such as one of a later version.
  named: (prefix: string, name: string) => string;
  notify: (text: string, bad?: boolean) => void;
  // The present time, which is that of the bundle when one is open.
  now: number;
}

export const Context = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(Context);
  if (!shared) throw new Error("no context");
  return shared;
}

export function translator(language: Language): Pick<Shared, "t" | "named"> {
  const words = WORDS[language];
  const t: Shared["t"] = (word, values) =>
    words[word].replace(/\{(\w+)\}/g, (whole, key: string) => String(values?.[key] ?? whole));
  const named: Shared["named"] = (prefix, name) => words[`${prefix}_${name}` as Word] ?? name;
  return { t, named };
}

// The place in the page: the part of the address behind "#".
export function usePlace(): string {
  const read = () => location.hash.replace(/^#/, "") || "/";
  const [place, set] = useState(read);
  useEffect(() => {
    const changed = () => set(read());
    addEventListener("hashchange", changed);
    // It may have changed before this listened.
    changed();
    return () => removeEventListener("hashchange", changed);
  }, []);
  return place;
}

export function go(place: string): void {
  location.hash = place;
}

export function vmPlace(namespace: string, name: string, tab = ""): string {
  return `/vm/${namespace}/${name}${tab ? `/${tab}` : ""}`;
}

// A choice of this browser, such as its language.
export function stored(name: string): string | null {
  try {
    return localStorage.getItem(`wukong.${name}`);
  } catch {
    return null;
  }
}

export function store(name: string, value: string): void {
  try {
    localStorage.setItem(`wukong.${name}`, value);
  } catch {
    // A browser without storage forgets the choice.
  }
}
