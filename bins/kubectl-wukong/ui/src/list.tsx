// The list of VMs. Only the rows in sight are in the document.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { go, useShared, vmPlace } from "./context";
import { age, bytes } from "./format";
import type { Batch, Row } from "./model";
import { follow, vmPath } from "./net";
import { Empty, Phase, tone } from "./parts";

const OVERSCAN = 8;

interface Known {
  rows: Row[];
  complete: boolean;
  error: string | null;
}

// The rows, kept up to date. They outlive the list, so that it is there at once when the user comes back.
export function useRows(connected: (is: boolean) => void): Known {
  const [known, set] = useState<Known>({ rows: [], complete: false, error: null });
  useEffect(() => {
    const rows = new Map<string, Row>();
    return follow<Batch>(
      "/api/list",
      (batch) => {
        if (batch.reset) rows.clear();
        for (const [namespace, name] of batch.gone) rows.delete(`${namespace}/${name}`);
        for (const row of batch.rows) rows.set(`${row.namespace}/${row.name}`, row);
        set({ rows: [...rows.values()], complete: batch.complete, error: batch.error });
      },
      connected,
    );
  }, []);
  return known;
}

const ORDER: Record<string, number> = { bad: 0, wait: 1, calm: 2, good: 3 };

function matches(row: Row, words: string[]): boolean {
  const text = `${row.namespace}/${row.name} ${row.reason ?? ""} ${row.message ?? ""} ${row.ip ?? ""} ${row.node ?? ""} ${row.phase ?? ""}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

export function List({ known }: { known: Known }) {
  const { t, named, about, now } = useShared();
  const [search, setSearch] = useState("");
  const [phase, setPhase] = useState<string | null>(null);
  const [pictures, setPictures] = useState(false);
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        field.current?.focus();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);

  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = useMemo(() => known.rows.filter((row) => matches(row, words)), [known.rows, search]);
  const counts = useMemo(() => {
    const counts = new Map<string, number>();
    for (const row of found) counts.set(row.phase ?? "Unknown", (counts.get(row.phase ?? "Unknown") ?? 0) + 1);
    return [...counts].sort(
      ([a], [b]) => (ORDER[tone(a)] ?? 0) - (ORDER[tone(b)] ?? 0) || a.localeCompare(b),
    );
  }, [found]);
  const rows = useMemo(() => {
    const shown = phase ? found.filter((row) => (row.phase ?? "Unknown") === phase) : found;
    const rank = (row: Row) => (row.phase === "Error" || row.unreadable ? 0 : 1);
    return [...shown].sort(
      (a, b) => rank(a) - rank(b) || a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name),
    );
  }, [found, phase]);

  if (known.error && known.rows.length === 0) {
    return <Empty bad title={t("listFailed")} text={known.error} />;
  }
  if (known.complete && known.rows.length === 0) {
    return (
      <Empty title={t("emptyTitle")} text={t("emptyText")}>
        <a class="button primary" href="#/new">
          {t("newVm")}
        </a>
        <a class="button" href="#/cluster">
          {t("emptyCluster")}
        </a>
      </Empty>
    );
  }
  return (
    <div class="list">
      <div class="head">
        <h1>{t("title")}</h1>
        <span class="count" aria-live="polite">
          {known.complete
            ? rows.length === known.rows.length
              ? rows.length
              : t("ofTotal", { shown: rows.length, total: known.rows.length })
            : t("loading")}
        </span>
        <span class="grow" />
        {!about.bundle && (
          <>
            <button type="button" aria-pressed={pictures} onClick={() => setPictures(!pictures)}>
              {pictures ? t("picturesHide") : t("pictures")}
            </button>
            <a class="button primary" href="#/new">
              {t("newVm")}
            </a>
          </>
        )}
      </div>
      <div class="filters">
        <input
          ref={field}
          type="search"
          placeholder={t("search")}
          aria-label={t("searchLabel")}
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <div class="chips" role="group" aria-label={t("state")}>
          <button type="button" class="chip" aria-pressed={phase === null} onClick={() => setPhase(null)}>
            {t("all")} <b>{found.length}</b>
          </button>
          {counts.map(([name, count]) => (
            <button
              type="button"
              key={name}
              class={`chip ${tone(name)}`}
              aria-pressed={phase === name}
              onClick={() => setPhase(phase === name ? null : name)}
            >
              <span class="dot" aria-hidden="true" />
              {named("phase", name)} <b>{count}</b>
            </button>
          ))}
        </div>
      </div>
      {known.error && (
        <p class="banner bad" role="alert">
          {t("listFailed")}: {known.error}
        </p>
      )}
      {rows.length === 0 && known.complete ? (
        <Empty title={t("noMatch")}>
          <button
            type="button"
            onClick={() => {
              setSearch("");
              setPhase(null);
            }}
          >
            {t("clearSearch")}
          </button>
        </Empty>
      ) : pictures ? (
        <Pictures rows={rows} />
      ) : (
        <Rows rows={rows} now={now} />
      )}
    </div>
  );
}

function Rows({ rows, now }: { rows: Row[]; now: number }) {
  const { t, about } = useShared();
  const frame = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ first: 0, count: 40, height: 52 });
  const several = useMemo(() => about.allNamespaces || rows.some((row) => row.namespace !== rows[0]?.namespace), [rows]);

  useLayoutEffect(() => {
    const box = frame.current;
    if (!box) return;
    const measure = () => {
      const height = Number.parseFloat(getComputedStyle(box).getPropertyValue("--row")) || 52;
      const first = Math.max(0, Math.floor(box.scrollTop / height) - OVERSCAN);
      const count = Math.ceil(box.clientHeight / height) + 2 * OVERSCAN;
      setView((old) =>
        old.first === first && old.count === count && old.height === height ? old : { first, count, height },
      );
    };
    measure();
    const sized = new ResizeObserver(measure);
    sized.observe(box);
    box.addEventListener("scroll", measure, { passive: true });
    return () => {
      sized.disconnect();
      box.removeEventListener("scroll", measure);
    };
  }, []);

  // The arrow keys move between rows, also to those that are not in the document yet.
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const box = frame.current;
    if (!step || !box) return;
    const current = document.activeElement?.closest<HTMLElement>("[data-index]");
    const index = current ? Number(current.dataset.index) + step : view.first;
    if (index < 0 || index >= rows.length) return;
    event.preventDefault();
    const top = index * view.height;
    if (top < box.scrollTop) box.scrollTop = top;
    const bottom = top + view.height - box.clientHeight + 44;
    if (bottom > box.scrollTop) box.scrollTop = bottom;
    requestAnimationFrame(() => box.querySelector<HTMLElement>(`[data-index="${index}"] a`)?.focus());
  };

  const shown = rows.slice(view.first, view.first + view.count);
  return (
    <div
      class="rows"
      ref={frame}
      role="table"
      aria-label={t("title")}
      aria-rowcount={rows.length + 1}
      tabIndex={0}
      onKeyDown={pressed}
    >
      <div role="rowgroup" class="titles">
        <div role="row" aria-rowindex={1} class="row">
          {[t("name"), t("state"), t("address"), t("node"), t("size"), t("age")].map((title) => (
            <span role="columnheader" key={title}>
              {title}
            </span>
          ))}
        </div>
      </div>
      <div role="rowgroup" class="space" style={{ height: rows.length * view.height }}>
        <div class="window" style={{ transform: `translateY(${view.first * view.height}px)` }}>
          {shown.map((row, offset) => (
            <VmRow
              key={`${row.namespace}/${row.name}`}
              row={row}
              index={view.first + offset}
              several={several}
              now={now}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

function VmRow({ row, index, several, now }: { row: Row; index: number; several: boolean; now: number }) {
  const { t } = useShared();
  const place = vmPlace(row.namespace, row.name);
  return (
    <div role="row" class="row" aria-rowindex={index + 2} data-index={index} onClick={() => go(place)}>
      <span role="cell" class="who">
        <a href={`#${place}`} onClick={(event) => event.stopPropagation()}>
          {row.name}
        </a>
        {several && <small>{row.namespace}</small>}
      </span>
      <span role="cell" class="what">
        <Phase phase={row.unreadable ? "Error" : row.phase} />
        {(row.reason || row.unreadable) && (
          <span class="reason" title={row.message ?? undefined}>
            {row.unreadable ? t("unreadable") : row.reason}
          </span>
        )}
        {!!row.pending && <span class="tag">{t("pendingBadge", { n: row.pending })}</span>}
      </span>
      <span role="cell" class="where mono">
        {row.ip ?? "–"}
      </span>
      <span role="cell" class="node">
        {row.node ?? "–"}
      </span>
      <span role="cell" class="size">
        {row.cpu === undefined ? "–" : `${row.cpu} × CPU, ${bytes(row.memory)}`}
      </span>
      <span role="cell" class="age">
        {age(row.created, now)}
      </span>
    </div>
  );
}

const PICTURES_MAX = 24;

// Pictures of the screens of VMs that run, asked for once.
function Pictures({ rows }: { rows: Row[] }) {
  const running = rows.filter((row) => row.phase === "Running").slice(0, PICTURES_MAX);
  return (
    <div class="pictures">
      {running.map((row) => (
        <Picture key={`${row.namespace}/${row.name}`} row={row} />
      ))}
    </div>
  );
}

function Picture({ row }: { row: Row }) {
  const { t } = useShared();
  const [failed, setFailed] = useState(false);
  return (
    <a class="picture" href={`#${vmPlace(row.namespace, row.name, "screen")}`}>
      {failed ? (
        <span class="missing">{t("noPicture")}</span>
      ) : (
        <img
          loading="lazy"
          alt={t("pictureOf", { name: row.name })}
          src={vmPath(row.namespace, row.name, "screen")}
          onError={() => setFailed(true)}
        />
      )}
      <span>{row.name}</span>
    </a>
  );
}

