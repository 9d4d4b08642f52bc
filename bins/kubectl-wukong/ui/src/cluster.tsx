// The cluster: what VMs need of it, its nodes, and the addresses in use.
import { useEffect, useState } from "preact/hooks";
import { useShared, vmPlace } from "./context";
import { bytes } from "./format";
import type { Check, Cluster as ClusterState } from "./model";
import { get, messageOf } from "./net";
import { Card, Empty, Table } from "./parts";

const SIGNS: Record<string, [string, string]> = {
  pass: ["✓", "good"],
  warn: ["!", "wait"],
  fail: ["✗", "bad"],
  unknown: ["?", "calm"],
};

export function Cluster() {
  const { t } = useShared();
  const [state, setState] = useState<ClusterState | null>(null);
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const read = () => {
    setBusy(true);
    get<ClusterState>("/api/cluster")
      .then((next) => {
        setState(next);
        setError("");
      })
      .catch((failed: unknown) => setError(messageOf(failed)))
      .finally(() => setBusy(false));
  };
  useEffect(read, []);
  return (
    <div class="cluster">
      <div class="head">
        <h1>{t("cluster")}</h1>
        <span class="grow" />
        <button type="button" onClick={read} disabled={busy} aria-busy={busy}>
          {t("refresh")}
        </button>
      </div>
      {error ? (
        <Empty bad title={t("cluster")} text={error} />
      ) : !state ? (
        <p class="dim">{t("loading")}</p>
      ) : (
        <>
          <Checks checks={state.checks} />
          <Nodes nodes={state.nodes} />
          <Addresses addresses={state.addresses} />
        </>
      )}
    </div>
  );
}

function status(check: Check): string {
  return check.status.toLowerCase();
}

function Checks({ checks }: { checks: Check[] }) {
  const { t, named } = useShared();
  const [all, setAll] = useState(false);
  const failed = checks.some((check) => status(check) === "fail");
  const passed = checks.filter((check) => status(check) === "pass").length;
  const shown = all ? checks : checks.filter((check) => status(check) !== "pass");
  return (
    <section class={`card checks ${failed ? "cause" : "fine-list"}`}>
      <header>
        <h2>{failed ? t("checksBad") : t("checksGood")}</h2>
        <span class="note">{failed ? t("checksText") : t("checksPass", { n: passed })}</span>
      </header>
      <ul>
        {shown.map((check) => {
          const [sign, tone] = SIGNS[status(check)] ?? ["?", "calm"];
          return (
            <li key={check.check}>
              <span class={`mark ${tone}`} aria-hidden="true">
                {sign}
              </span>
              <div>
                <p>
                  <span class="unseen">{named("check", status(check))}: </span>
                  <b>{check.check}</b> <span>{check.message}</span>
                </p>
                {status(check) !== "pass" && check.evidence.map((line) => <p class="dim" key={line}>{line}</p>)}
                {check.hint && (
                  <p class="hint">
                    <b>{t("todo")}</b>
                    {check.hint}
                  </p>
                )}
              </div>
            </li>
          );
        })}
      </ul>
      <button type="button" class="small" aria-expanded={all} onClick={() => setAll(!all)}>
        {all ? t("hidePassed") : t("showPassed", { n: checks.length })}
      </button>
    </section>
  );
}

function Nodes({ nodes }: { nodes: ClusterState["nodes"] }) {
  const { t } = useShared();
  return (
    <Card title={t("nodes")} note={nodes.length}>
      {nodes.length === 0 ? (
        <p class="dim">{t("noNodes")}</p>
      ) : (
        <Table
          label={t("nodes")}
          head={[t("node"), t("state"), t("cpus"), t("memory"), t("devices"), t("bridges")]}
          rows={nodes.map((node) => [
            <>
              {node.name} <span class="dim">{node.architecture}</span>
            </>,
            <span class={`badge ${!node.ready ? "bad" : node.schedulable ? "good" : "wait"}`}>
              <span class="dot" aria-hidden="true" />
              {!node.ready ? t("nodeNotReady") : node.schedulable ? t("nodeReady") : t("nodeNoVms")}
            </span>,
            node.cpu ?? "–",
            bytes(node.memory),
            <span class="tags">
              {node.devices.length === 0
                ? t("none")
                : node.devices.map((device) => (
                    <span key={device.name} class={`tag ${device.count === "0" ? "bad" : ""}`}>
                      {device.name} {device.count}
                    </span>
                  ))}
            </span>,
            node.bridges === null ? t("unknown") : node.bridges.join(", ") || t("none"),
          ])}
        />
      )}
    </Card>
  );
}

function Addresses({ addresses }: { addresses: ClusterState["addresses"] }) {
  const { t } = useShared();
  return (
    <Card title={t("addresses")}>
      {addresses.length === 0 ? (
        <p class="dim">{t("noAddresses")}</p>
      ) : (
        <Table
          label={t("addresses")}
          head={[t("network"), t("address"), t("usedBy"), t("nic")]}
          rows={addresses.map((used) => [
            used.network,
            <span class="mono">{used.address}</span>,
            <a href={`#${vmPlace(used.namespace, used.name)}`}>
              {used.namespace}/{used.name}
            </a>,
            used.nic,
          ])}
        />
      )}
    </Card>
  );
}
