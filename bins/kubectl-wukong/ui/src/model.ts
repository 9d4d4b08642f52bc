// What the plugin answers. The types of the Wukong itself are generated: see api.ts.
import type { WukongSpec, WukongStatus } from "./api";

export interface About {
  version: string;
  bundle: { taken: string; namespace: string; name: string } | null;
  namespace: string;
  allNamespaces: boolean;
  now: string;
}

export interface Row {
  namespace: string;
  name: string;
  created: string | null;
  phase?: string | null;
  cpu?: number;
  memory?: string | number;
  ip?: string | null;
  node?: string | null;
  reason?: string | null;
  message?: string | null;
  pending?: number;
  unreadable?: boolean;
}

export interface Batch {
  reset: boolean;
  complete: boolean;
  error: string | null;
  gone: [string, string][];
  rows: Row[];
}

export interface Metadata {
  name: string;
  namespace?: string;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  resourceVersion?: string;
  generation?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface Wukong {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
  spec: WukongSpec;
  status?: WukongStatus;
}

export interface Step {
  step: string;
  at: string | null;
  seconds: number | null;
}

export interface Timeline {
  start: string;
  again: boolean;
  steps: Step[];
  slowest?: string;
}

export interface Live {
  absent?: boolean;
  error?: string;
  wukong?: Wukong;
  readable?: boolean;
  timeline?: Timeline | null;
  instance?: { phase: string; node: string | null; paused: boolean; migrating: boolean } | null;
}

export interface Link {
  object: string;
  state: string;
  text?: string;
  since?: string;
}

export interface Finding {
  condition: string;
  reason: string;
  object?: string;
  message: string;
  hint?: string;
  evidence?: string[];
  chain?: Link[];
}

export interface Diagnosis {
  diagnosis: { phase: string | null; blocker?: Finding; others: Finding[] };
  events: { time: string | null; warning: boolean; object: string; reason: string; message: string; count: number }[];
}

export type Access = Record<string, boolean>;

export interface Change {
  path: string;
  from?: string;
  to?: string;
  class: string;
  why: string;
}

export interface Plan {
  creates: boolean;
  objects: string[];
  changes: Change[];
  conflicts?: { reason: string; message: string }[];
}

export interface Checked {
  unreadable?: string;
  object: Draft;
  yaml: string;
  problems: { path: string; message: string }[];
  render: string | null;
  notes: string[];
  plan: Plan | null;
  planError: string | null;
}

// A manifest that is being written: anything may be missing.
export type Draft = { [field: string]: Value };
export type Value = string | number | boolean | null | Value[] | { [field: string]: Value };

export interface Check {
  check: string;
  condition: string;
  reason: string;
  status: string;
  object?: string;
  message: string;
  hint?: string;
  documentation: string;
  evidence: string[];
}

export interface Cluster {
  checks: Check[];
  nodes: {
    name: string;
    ready: boolean;
    schedulable: boolean;
    architecture: string | null;
    cpu: string | null;
    memory: string | null;
    devices: { name: string; count: string }[];
    bridges: string[] | null;
  }[];
  addresses: { network: string; address: string; namespace: string; name: string; nic: string }[];
}

export interface Reported {
  reason: string;
  message: string;
  hint?: string;
}

// What WukongSnapshot and WukongRestore have in common.
interface Protection<Spec, Status> {
  name: string;
  created: string | null;
  deleting: boolean;
  spec: Spec;
  status: Status & { phase?: string; blocker?: Reported };
}

export type Snapshot = Protection<
  { wukongName: string },
  {
    readyToUse?: boolean;
    creationTime?: string;
    consistency?: string;
    volumes?: { name: string; included: boolean; why?: string; size?: string }[];
  }
>;

export interface RestoreSpec {
  wukongName: string;
  snapshotName?: string;
  fromGeneration?: number;
  disks: string[];
  stop?: boolean;
  start?: boolean;
}

export type Restore = Protection<RestoreSpec, { volumes?: { name: string; from: string; to: string }[] }>;

export interface Protections {
  snapshots: Snapshot[];
  restores: Restore[];
}
