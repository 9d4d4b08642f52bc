// The schema of the spec, and the values that it describes.
import type { Value } from "./model";

export interface Schema {
  type?: string;
  description?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema;
  required?: string[];
  enum?: (string | null)[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  nullable?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
}

export type Kind = "choice" | "flag" | "number" | "quantity" | "text" | "secret" | "list" | "objects" | "map" | "object";

// The control that a field gets.
export function kindOf(name: string, schema: Schema): Kind {
  if (schema["x-kubernetes-int-or-string"]) return "quantity";
  if (schema.enum) return "choice";
  if (schema.type === "boolean") return "flag";
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "array") return schema.items?.type === "object" ? "objects" : "list";
  if (schema.additionalProperties) return "map";
  if (schema.type === "object") return "object";
  return name === "password" ? "secret" : "text";
}

// A name as words: storageClassName as "Storage class name".
export function words(name: string): string {
  const spaced = name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2")
    .split(" ")
    .map((word) => (/^[A-Z]{2,}$/.test(word) ? word : word.toLowerCase()))
    .join(" ");
  const known = spaced.replace(/\b(cpu|ip|os|vm|tpm|ssh|dns|mtu|mac|vlan|nad|io|id)\b/g, (word) => word.toUpperCase());
  return known.charAt(0).toUpperCase() + known.slice(1);
}

export type Step = string | number;

export function read(value: Value | undefined, path: Step[]): Value | undefined {
  let at: Value | undefined = value;
  for (const step of path) {
    if (at === null || typeof at !== "object") return undefined;
    at = (at as Record<Step, Value>)[step];
  }
  return at;
}

// Returns a copy with another value at a place. Undefined removes it.
export function write(value: Value | undefined, path: Step[], next: Value | undefined): Value {
  const [step, ...rest] = path;
  if (step === undefined) return next ?? null;
  if (typeof step === "number") {
    const items = Array.isArray(value) ? [...value] : [];
    if (rest.length === 0 && next === undefined) items.splice(step, 1);
    else items[step] = write(items[step], rest, next);
    return items;
  }
  const fields: Record<string, Value> =
    value !== null && typeof value === "object" && !Array.isArray(value) ? { ...value } : {};
  if (rest.length === 0 && next === undefined) delete fields[step];
  else fields[step] = write(fields[step], rest, next);
  return fields;
}

export function pathText(path: Step[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text ? `${text}.${step}` : step),
    "",
  );
}
