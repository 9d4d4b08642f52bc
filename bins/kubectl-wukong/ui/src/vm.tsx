// One VM.
import { useEffect, useRef, useState } from "preact/hooks";
import { Boot } from "./boot";
import { Cause, Steps } from "./chain";
import { Consoles } from "./consoles";
import { useShared, vmPlace } from "./context";
import { DeleteDialog, ObjectDialog } from "./dialogs";
import { Edit } from "./edit";
import { age, bytes, clock } from "./format";
import type { Access, Diagnosis, Live, Wukong } from "./model";
import { follow, get, messageOf, post, vmPath } from "./net";
import { Card, Empty, Phase, Table, tone } from "./parts";
import { Snapshots } from "./snapshots";
import type { WukongStatus } from "./api";
import type { Word } from "./words";

const TABS = ["", "serial", "screen", "snapshots", "edit"] as const;
const TAB_WORDS: Record<(typeof TABS)[number], Word> = {
  "": "overview",
  serial: "serial",
  screen: "screen",
  snapshots: "snapshots",
  edit: "edit",
};

export function Vm(props: { namespace: string; name: string; tab: string; connected: (is: boolean) => void }) {
  const { t, about } = useShared();
  const { namespace, name } = props;
  const [live, setLive] = useState<Live | null>(null);
  const [access, setAccess] = useState<Access>({});
  const [deleting, setDeleting] = useState(false);

  useEffect(() => {
    setLive(null);
    setAccess({});
    get<Access>(vmPath(namespace, name, "access"))
      .then(setAccess)
      .catch(() => {});
    return follow<Live>(
      vmPath(namespace, name, "live"),
      setLive,
      props.connected,
    );
  }, [namespace, name]);

  if (live?.absent) {
    return (
      <Empty title={t("absentTitle")} text={t("absentText")}>
        <a class="button" href="#/">
          {t("back")}
        </a>
      </Empty>
    );
  }
  if (live?.error) return <Empty bad title={name} text={live.error} />;
  const wukong = live?.wukong;
  const phase = wukong?.metadata.deletionTimestamp ? "Deleting" : wukong?.status?.phase;
  const tabs = about.bundle ? TABS.slice(0, 1) : TABS;
  return (
    <div class="vm">
      <nav class="crumbs" aria-label={t("back")}>
        <a href="#/">← {t("back")}</a>
      </nav>
      <div class="head">
        <h1>{name}</h1>
        <Phase phase={phase} />
        <span class="dim">{namespace}</span>
        <span class="grow" />
        {!about.bundle && wukong && (
          <Buttons live={live} access={access} wukong={wukong} onDelete={() => setDeleting(true)} />
        )}
      </div>
      {tabs.length > 1 && (
        <nav class="tabs" aria-label={name}>
          {tabs.map((tab) => (
            <a
              key={tab}
              href={`#${vmPlace(namespace, name, tab)}`}
              aria-current={props.tab === tab ? "page" : undefined}
            >
              {t(TAB_WORDS[tab])}
            </a>
          ))}
        </nav>
      )}
      {!wukong ? (
        <p class="dim" aria-live="polite">
          {t("loading")}
        </p>
      ) : props.tab === "serial" || props.tab === "screen" ? (
        <Consoles
          key={props.tab}
          namespace={namespace}
          name={name}
          kind={props.tab}
          running={(live.instance?.phase ?? wukong.status?.phase) === "Running"}
          instance={`${wukong.status?.startedWith?.instance ?? ""}`}
        />
      ) : props.tab === "snapshots" ? (
        <Snapshots wukong={wukong} access={access} />
      ) : props.tab === "edit" ? (
        <Edit wukong={wukong} />
      ) : (
        <Overview live={live} wukong={wukong} />
      )}
      {deleting && wukong && <DeleteDialog wukong={wukong} onClose={() => setDeleting(false)} />}
    </div>
  );
}

const RUNS = new Set(["Running", "Paused", "Migrating"]);

type Action = "start" | "stop" | "pause" | "unpause" | "restart" | "migrate";

function Buttons(props: { live: Live; access: Access; wukong: Wukong; onDelete: () => void }) {
  const { t, notify } = useShared();
  const { access, wukong, live } = props;
  const { namespace = "", name } = wukong.metadata;
  const [busy, setBusy] = useState<Action | null>(null);
  const phase = wukong.status?.phase;
  const paused = live.instance?.paused || phase === "Paused";
  // Without permission to read instances, the phase says enough.
  const on = live.instance ? phase !== "Stopped" : RUNS.has(phase ?? "");
  const press = (action: Action) => {
    setBusy(action);
    post<{ notes: string[] }>(vmPath(namespace, name, "power"), { action })
      .then((answer) => notify([t("requested", { action: t(action) }), ...answer.notes].join(". ")))
      .catch((error: unknown) => notify(messageOf(error), true))
      .finally(() => setBusy(null));
  };
  const button = (action: Action, right: string, fits: boolean) => {
    const denied = access[right] === false;
    return (
      <button
        type="button"
        key={action}
        disabled={denied || !fits || busy !== null}
        title={denied ? t("notPermitted") : undefined}
        aria-busy={busy === action}
        onClick={() => press(action)}
      >
        {t(action)}
      </button>
    );
  };
  return (
    <div class="actions" role="group" aria-label={t("more")}>
      {phase === "Stopped" ? button("start", "power", true) : button("stop", "power", phase !== "Stopping")}
      {on && (paused ? button("unpause", "power", true) : button("pause", "power", phase === "Running"))}
      {on && button("restart", "restart", true)}
      {on && button("migrate", "migrate", phase === "Running")}
      <button
        type="button"
        class="danger"
        disabled={access.delete === false}
        title={access.delete === false ? t("notPermitted") : undefined}
        onClick={props.onDelete}
      >
        {t("delete")}
      </button>
    </div>
  );
}

// The diagnosis, read again when the VM changes, but not more often than every few seconds.
function useDiagnosis(wukong: Wukong): Diagnosis | null {
  const { namespace = "", name, resourceVersion } = wukong.metadata;
  const [found, set] = useState<Diagnosis | null>(null);
  const last = useRef(0);
  useEffect(() => {
    let dropped = false;
    const wait = Math.max(0, last.current + 4000 - Date.now());
    const timer = setTimeout(() => {
      last.current = Date.now();
      get<Diagnosis>(vmPath(namespace, name, "diagnosis"))
        .then((next) => dropped || set(next))
        .catch(() => {});
    }, wait);
    return () => {
      dropped = true;
      clearTimeout(timer);
    };
  }, [namespace, name, resourceVersion]);
  return found;
}

function Overview({ live, wukong }: { live: Live; wukong: Wukong }) {
  const { t, now, language } = useShared();
  const [open, setOpen] = useState<string | null>(null);
  const diagnosis = useDiagnosis(wukong);
  const { namespace = "", name } = wukong.metadata;
  const status = wukong.status ?? {};
  const blocker = status.blocker;
  const found = diagnosis?.diagnosis.blocker;
  // The operator's words are there at once; those of the survey go deeper.
  const finding = found && (!blocker || found.reason === blocker.reason) ? { ...blocker, ...found } : (blocker ?? found);
  const others = diagnosis?.diagnosis.others ?? [];
  const pending = status.pendingChanges ?? [];
  return (
    <div class="overview">
      {finding ? (
        <Cause wukong={wukong} finding={finding} since={blocker?.since} open={setOpen} />
      ) : (
        <Fine live={live} wukong={wukong} />
      )}
      {others.length > 0 && (
        <Card title={t("others")}>
          <ul class="others">
            {others.map((other) => (
              <li key={`${other.condition}${other.reason}`}>
                <b>{other.reason}</b> <span>{other.message}</span>
                {other.hint && <p class="hint">{other.hint}</p>}
              </li>
            ))}
          </ul>
        </Card>
      )}
      {pending.length > 0 && (
        <Card title={t("pending")} note={t("pendingText")}>
          <Table
            label={t("pending")}
            head={[t("field"), t("now"), t("then"), t("effect")]}
            rows={pending.map((change) => [
              <code>{change.path}</code>,
              change.current ?? "–",
              change.desired ?? "–",
              <Effect name={change.effect} />,
            ])}
          />
        </Card>
      )}
      <div class="columns">
        {live.timeline && <Boot timeline={live.timeline} waits={status.phase !== "Running" && status.phase !== "Stopped"} />}
        <Card title={t("details")}>
          <dl>
            <dt>{t("image")}</dt>
            <dd>{wukong.spec.osImage ?? wukong.spec.disks?.find((disk) => disk.image)?.image ?? "–"}</dd>
            <dt>{t("cpus")}</dt>
            <dd>{wukong.spec.cpu}</dd>
            <dt>{t("memory")}</dt>
            <dd>{bytes(wukong.spec.memory)}</dd>
            <dt>{t("node")}</dt>
            <dd>{status.nodeName ?? "–"}</dd>
            <dt>{t("created")}</dt>
            <dd>
              {wukong.metadata.creationTimestamp
                ? `${clock(wukong.metadata.creationTimestamp, language)} (${age(wukong.metadata.creationTimestamp, now)})`
                : "–"}
            </dd>
            <dt>{t("object")}</dt>
            <dd>
              <button type="button" class="link" onClick={() => setOpen(`Wukong/${name}`)}>
                Wukong/{name}
              </button>
              <button type="button" class="link" onClick={() => setOpen(`VirtualMachine/${name}`)}>
                VirtualMachine/{name}
              </button>
            </dd>
          </dl>
        </Card>
      </div>
      <Networks wukong={wukong} />
      <Disks wukong={wukong} open={setOpen} />
      {status.conditions && (
        <Card title={t("conditions")}>
        <Table
          label={t("conditions")}
          head={[t("condition"), t("reason"), t("age"), t("message")]}
          rows={status.conditions.map((condition) => [
            <span class={`mark-${condition.status === "True" ? "good" : condition.status === "False" ? "bad" : "wait"}`}>
              {condition.type}
              <span class="unseen"> {condition.status}</span>
            </span>,
            condition.reason,
            age(condition.lastTransitionTime, now),
            <span class="wrap">{condition.message}</span>,
          ])}
        />
        </Card>
      )}
      <Events diagnosis={diagnosis} open={setOpen} />
      {open && <ObjectDialog namespace={namespace} vm={name} object={open} onClose={() => setOpen(null)} />}
    </div>
  );
}

export function Effect({ name }: { name: string }) {
  const { t } = useShared();
  const key = name.replace(/[ -]/g, "_");
  const tones: Record<string, string> = {
    in_place: "good",
    hot_plug: "good",
    hot_unplug: "wait",
    needs_restart: "wait",
    power_off: "wait",
    first_boot_only: "wait",
    refused: "bad",
    destroys_data: "bad",
  };
  return <span class={`badge ${tones[key] ?? "calm"}`}>{key in tones ? t(key as Word) : name}</span>;
}

function Fine({ live, wukong }: { live: Live; wukong: Wukong }) {
  const { t } = useShared();
  const { namespace = "", name } = wukong.metadata;
  const phase = wukong.status?.phase;
  const address = wukong.status?.networks?.find((nic) => nic.ipAddress)?.ipAddress;
  if (phase === "Running") {
    return (
      <section class="card fine good">
        <div>
          <h2>{live.instance?.node ? t("runsOn", { node: live.instance.node }) : t("runs")}</h2>
          {address && <p class="mono">{address}</p>}
        </div>
        <a class="button" href={`#${vmPlace(namespace, name, "serial")}`}>
          {t("serial")}
        </a>
      </section>
    );
  }
  if (phase === "Stopped" || phase === "Paused") {
    return (
      <section class="card fine calm">
        <h2>{phase === "Paused" ? t("paused") : t("stopped")}</h2>
      </section>
    );
  }
  return (
    <section class={`card ${tone(phase)}`}>
      <header>
        <h2>{t("onTheWay")}</h2>
        <span class="note">{t("onTheWayText")}</span>
      </header>
      <Steps wukong={wukong} cause={undefined} />
    </section>
  );
}

function Networks({ wukong }: { wukong: Wukong }) {
  const { t } = useShared();
  const nics = wukong.status?.networks ?? [];
  return (
    <Card title={t("networks")}>
      {nics.length === 0 ? (
        <p class="dim">{t("noNetworks")}</p>
      ) : (
        <Table
          label={t("networks")}
          head={[t("nic"), t("network"), t("wanted"), t("seen"), t("mac")]}
          rows={nics.map((nic) => {
            const seen = nic.ipAddresses ?? (nic.ipAddress ? [nic.ipAddress] : []);
            const missing = (nic.intended ?? []).some((address) => !seen.includes(address.split("/")[0] ?? ""));
            return [
              <>
                {nic.name} {nic.interface && <span class="dim">{nic.interface}</span>}
              </>,
              nic.nadName ?? "–",
              <span class="mono">{nic.intended?.join(", ") || "–"}</span>,
              <span class={`mono ${missing && seen.length > 0 ? "text-bad" : ""}`}>{seen.join(", ") || "–"}</span>,
              <span class="mono">{nic.macAddress ?? "–"}</span>,
            ];
          })}
        />
      )}
    </Card>
  );
}

// A disk of which nothing is known but the manifest.
const unseen: { name: string } & Partial<NonNullable<WukongStatus["volumes"]>[number]> = { name: "" };

function Disks({ wukong, open }: { wukong: Wukong; open: (object: string) => void }) {
  const { t } = useShared();
  const disks = wukong.status?.volumes ?? (wukong.spec.disks ?? []).map((disk) => ({ ...unseen, ...disk }));
  return (
    <Card title={t("disks")}>
      {disks.length === 0 ? (
        <p class="dim">{t("noDisks")}</p>
      ) : (
        <Table
          label={t("disks")}
          head={[t("disk"), t("progress"), t("capacity"), t("claim"), t("whenDeleted")]}
          rows={disks.map((disk) => {
            const percent = Number.parseFloat(disk.progress ?? "");
            return [
              disk.name,
              <span class="progress">
                <span class={disk.message ? "text-bad" : ""}>{disk.phase ?? "–"}</span>
                {percent < 100 && (
                  <>
                    <progress max={100} value={percent} aria-label={t("progress")} /> {disk.progress}
                  </>
                )}
                {disk.message && <small class="wrap text-bad">{disk.message}</small>}
              </span>,
              bytes(disk.capacity ?? disk.size),
              disk.pvcName ? (
                <button type="button" class="link mono" onClick={() => open(`PersistentVolumeClaim/${disk.pvcName}`)}>
                  {disk.pvcName}
                </button>
              ) : (
                "–"
              ),
              disk.reclaimPolicy === "Retain" ? t("keep") : disk.reclaimPolicy === "Delete" ? t("remove") : "–",
            ];
          })}
        />
      )}
    </Card>
  );
}

function Events({ diagnosis, open }: { diagnosis: Diagnosis | null; open: (object: string) => void }) {
  const { t, now } = useShared();
  return (
    <Card title={t("events")}>
      {!diagnosis ? (
        <p class="dim">{t("loading")}</p>
      ) : diagnosis.events.length === 0 ? (
        <p class="dim">{t("noEvents")}</p>
      ) : (
        <Table
          label={t("events")}
          head={[t("age"), t("object"), t("reason"), t("message")]}
          rows={diagnosis.events.map((event) => [
            age(event.time, now),
            <button type="button" class="link" onClick={() => open(event.object)}>
              {event.object}
            </button>,
            <span class={event.warning ? "text-bad" : ""}>
              {event.reason}
              {event.count > 1 && <span class="dim"> ×{event.count}</span>}
            </span>,
            <span class="wrap">{event.message}</span>,
          ])}
        />
      )}
    </Card>
  );
}
