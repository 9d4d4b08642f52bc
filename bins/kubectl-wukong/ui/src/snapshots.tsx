// The snapshots of one VM, and restores from them.
import { useEffect, useState } from "preact/hooks";
import { useShared } from "./context";
import { age } from "./format";
import type { Access, Protections, RestoreSpec, Snapshot, Wukong } from "./model";
import { get, messageOf, post, vmPath } from "./net";
import { Card, Dialog, Phase, Table } from "./parts";

const OFTEN = 2000;
const SELDOM = 10_000;
const ENDED = new Set(["Succeeded", "Failed"]);

// The snapshots and restores, read again: often while one is under way. `again` reads them at once.
function useProtections(path: string): { found: Protections | null; error: string; again: () => void } {
  const [found, setFound] = useState<Protections | null>(null);
  const [error, setError] = useState("");
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    let dropped = false;
    const read = () => {
      const later = (pause: number) => {
        if (!dropped) timer = setTimeout(read, pause);
      };
      if (document.hidden) return later(OFTEN);
      get<Protections>(path)
        .then((next) => {
          if (dropped) return;
          setFound(next);
          setError("");
          const waits = [...next.snapshots, ...next.restores].some(
            (one) => one.deleting || !ENDED.has(one.status.phase ?? ""),
          );
          later(waits ? OFTEN : SELDOM);
        })
        .catch((failed: unknown) => {
          if (!dropped) setError(messageOf(failed));
          later(SELDOM);
        });
    };
    read();
    return () => {
      dropped = true;
      clearTimeout(timer);
    };
  }, [path, turn]);
  return { found, error, again: () => setTurn((turn) => turn + 1) };
}

type Source = { snapshot: Snapshot } | { generation: number; disk: string };

export function Snapshots({ wukong, access }: { wukong: Wukong; access: Access }) {
  const { t, named, now, notify } = useShared();
  const { namespace = "", name } = wukong.metadata;
  const { found, error, again } = useProtections(vmPath(namespace, name, "snapshots"));
  const [source, setSource] = useState<Source | null>(null);
  const [dropping, setDropping] = useState<string | null>(null);
  const [partial, setPartial] = useState(false);
  const [busy, setBusy] = useState(false);
  const excluded = wukong.status?.conditions?.find(
    (condition) => condition.type === "Snapshottable" && condition.status === "False",
  );
  const earlier = (wukong.status?.volumes ?? []).flatMap((disk) =>
    (disk.otherGenerations ?? []).map((other) => ({ disk: disk.name, ...other })),
  );
  const right = (right: string) => ({
    disabled: access[right] === false,
    title: access[right] === false ? t("notPermitted") : undefined,
  });
  const take = () => {
    setBusy(true);
    post(vmPath(namespace, name, "snapshots"), { allowPartial: partial })
      .then(() => notify(t("requested", { action: t("takeSnapshot") })))
      .catch((failed: unknown) => notify(messageOf(failed), true))
      .finally(() => {
        setBusy(false);
        again();
      });
  };
  if (!found) return error ? <p class="banner bad">{error}</p> : <p class="dim">{t("loading")}</p>;
  return (
    <div class="overview">
      {error && (
        <p class="banner bad" role="alert">
          {error}
        </p>
      )}
      <Card title={t("snapshots")} note={t("snapshotsText")}>
        {excluded && (
          <div class="banner">
            <p>{excluded.message}</p>
            <label class="accept">
              <input type="checkbox" checked={partial} onChange={(event) => setPartial(event.currentTarget.checked)} />
              {t("takePartial")}
            </label>
          </div>
        )}
        <p class="actions">
          <button
            type="button"
            class="primary"
            {...right("snapshot")}
            disabled={access.snapshot === false || busy || (excluded !== undefined && !partial)}
            onClick={take}
          >
            {t("takeSnapshot")}
          </button>
        </p>
        {found.snapshots.length === 0 ? (
          <p class="dim">{t("noSnapshots")}</p>
        ) : (
          <Table
            label={t("snapshots")}
            head={[t("name"), t("state"), t("taken"), t("consistency"), t("disks"), t("more")]}
            rows={found.snapshots.map((snapshot) => {
              const { phase, readyToUse, consistency, creationTime, volumes, blocker } = snapshot.status;
              const included = (volumes ?? []).filter((volume) => volume.included);
              return [
                <span class="mono">{snapshot.name}</span>,
                <>
                  <Phase phase={snapshot.deleting ? "Deleting" : phase} />
                  {blocker && <small class="wrap text-bad">{blocker.message}</small>}
                </>,
                age(creationTime, now),
                consistency ? named("consistency", consistency) : "–",
                included.map((volume) => volume.name).join(", ") || "–",
                <span class="actions">
                  <button
                    type="button"
                    class="small"
                    {...right("restore")}
                    disabled={access.restore === false || !readyToUse || snapshot.deleting}
                    onClick={() => setSource({ snapshot })}
                  >
                    {t("restore")}
                  </button>
                  <button
                    type="button"
                    class="small danger"
                    {...right("dropSnapshot")}
                    aria-label={`${t("delete")} ${snapshot.name}`}
                    onClick={() => setDropping(snapshot.name)}
                  >
                    {t("delete")}
                  </button>
                </span>,
              ];
            })}
          />
        )}
      </Card>
      {earlier.length > 0 && (
        <Card title={t("earlier")} note={t("earlierText")}>
          <Table
            label={t("earlier")}
            head={[t("disk"), t("claim"), t("more")]}
            rows={earlier.map((other) => [
              <>
                {other.disk} <span class="dim">{t("generation", { n: other.generation })}</span>
              </>,
              <span class="mono">{other.pvcName}</span>,
              <button
                type="button"
                class="small"
                {...right("restore")}
                onClick={() => setSource({ generation: other.generation, disk: other.disk })}
              >
                {t("restore")}
              </button>,
            ])}
          />
        </Card>
      )}
      <Card title={t("restores")}>
        {found.restores.length === 0 ? (
          <p class="dim">{t("noRestores")}</p>
        ) : (
          <Table
            label={t("restores")}
            head={[t("from"), t("state"), t("age"), t("disks")]}
            rows={found.restores.map(({ spec, status, created }) => [
              spec.snapshotName ?? t("generation", { n: spec.fromGeneration ?? 1 }),
              <>
                <Phase phase={status.phase} />
                {status.blocker && <small class="wrap text-bad">{status.blocker.message}</small>}
              </>,
              age(created, now),
              status.volumes?.map((volume) => `${volume.name}: ${volume.from} → ${volume.to}`).join(", ") || "–",
            ])}
          />
        )}
      </Card>
      {source && (
        <RestoreDialog
          wukong={wukong}
          source={source}
          close={() => {
            setSource(null);
            again();
          }}
        />
      )}
      {dropping && (
        <DropDialog
          name={dropping}
          path={vmPath(namespace, name, "snapshots/delete")}
          close={() => {
            setDropping(null);
            again();
          }}
        />
      )}
    </div>
  );
}

function DropDialog(props: { name: string; path: string; close: () => void }) {
  const { t, notify } = useShared();
  const drop = (event: Event) => {
    event.preventDefault();
    post(props.path, { name: props.name })
      .then(() => notify(t("requested", { action: t("delete") })))
      .catch((failed: unknown) => notify(messageOf(failed), true))
      .finally(props.close);
  };
  return (
    <Dialog title={t("dropTitle", { name: props.name })} onClose={props.close}>
      <form onSubmit={drop}>
        <p>{t("dropText")}</p>
        <p class="actions end">
          <button type="button" onClick={props.close}>
            {t("cancel")}
          </button>
          <button type="submit" class="danger filled">
            {t("delete")}
          </button>
        </p>
      </form>
    </Dialog>
  );
}

// Shows what a restore changes before it is requested.
function RestoreDialog({ wukong, source, close }: { wukong: Wukong; source: Source; close: () => void }) {
  const { t, notify } = useShared();
  const { namespace = "", name } = wukong.metadata;
  const all =
    "snapshot" in source
      ? (source.snapshot.status.volumes ?? []).filter((volume) => volume.included).map((volume) => volume.name)
      : [source.disk];
  const off = wukong.status?.phase === "Stopped";
  const [disks, setDisks] = useState(all);
  const [stop, setStop] = useState(false);
  const [start, setStart] = useState(true);
  const [answer, setAnswer] = useState<{ plan?: string; refused?: string }>({});
  const [busy, setBusy] = useState(false);
  const spec: RestoreSpec = { wukongName: name, disks };
  if ("snapshot" in source) spec.snapshotName = source.snapshot.name;
  else spec.fromGeneration = source.generation;
  if (stop) spec.stop = true;
  if (stop && !start) spec.start = false;
  const text = JSON.stringify(spec);
  useEffect(() => {
    if (disks.length === 0) return setAnswer({});
    const control = new AbortController();
    post<typeof answer>(vmPath(namespace, name, "restores/plan"), spec, control.signal)
      .then(setAnswer)
      .catch((failed: unknown) => control.signal.aborted || setAnswer({ refused: messageOf(failed) }));
    return () => control.abort();
  }, [text]);
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    post(vmPath(namespace, name, "restores"), spec)
      .then(() => {
        notify(t("requested", { action: t("restore") }));
        close();
      })
      .catch((failed: unknown) => {
        setBusy(false);
        setAnswer({ refused: messageOf(failed) });
      });
  };
  const box = (text: string, checked: boolean, set: (checked: boolean) => void) => (
    <label class="accept" key={text}>
      <input type="checkbox" checked={checked} onChange={(event) => set(event.currentTarget.checked)} />
      {text}
    </label>
  );
  const from = "snapshot" in source ? source.snapshot.name : t("generation", { n: source.generation });
  return (
    <Dialog title={t("restoreOf", { name: from })} wide onClose={close}>
      <form onSubmit={submit}>
        <fieldset>
          <legend>{t("whichDisks")}</legend>
          {all.map((disk) =>
            box(disk, disks.includes(disk), (checked) =>
              setDisks(all.filter((other) => (other === disk ? checked : disks.includes(other)))),
            ),
          )}
        </fieldset>
        {!off && box(t("restoreStop"), stop, setStop)}
        {!off && stop && box(t("restoreStart"), start, setStart)}
        {answer.plan && (
          <pre class="restore-plan" tabIndex={0} role="region" aria-label={t("plan")}>
            {answer.plan}
          </pre>
        )}
        {answer.refused && (
          <p class="banner bad" role="alert">
            {answer.refused}
          </p>
        )}
        <p class="actions end">
          <button type="button" onClick={close}>
            {t("cancel")}
          </button>
          <button type="submit" class="primary" disabled={busy || !answer.plan || disks.length === 0}>
            {t("restore")}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
