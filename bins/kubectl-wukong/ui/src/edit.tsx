// A manifest as form and as text, what it becomes, and what it changes.
import { useEffect, useRef, useState } from "preact/hooks";
import { go, useShared, vmPlace } from "./context";
import { Form } from "./form";
import type { Checked, Draft, Plan, Value, Wukong } from "./model";
import { get, messageOf, post, Refused, vmPath } from "./net";
import { Code, Dialog, Empty } from "./parts";
import type { Schema } from "./schema";
import { Effect } from "./vm";

const PAUSE = 300;
const RESTARTS = new Set(["needs restart", "power off"]);

function fresh(namespace: string): Draft {
  return {
    apiVersion: "vm.novasphere.dev/v1alpha1",
    kind: "Wukong",
    metadata: { name: "", namespace },
    spec: { cpu: 2, memory: "2Gi" },
  };
}

function draftOf(wukong: Wukong): Draft {
  const { name, namespace, labels, annotations } = wukong.metadata;
  const metadata: Record<string, Value> = { name, namespace: namespace ?? "" };
  if (labels) metadata.labels = labels;
  if (annotations) metadata.annotations = annotations;
  return {
    apiVersion: wukong.apiVersion,
    kind: wukong.kind,
    metadata,
    spec: structuredClone(wukong.spec) as unknown as Value,
  };
}

interface Applied {
  namespace: string;
  name: string;
  generation: number;
}

type Panel = "yaml" | "becomes" | "plan";
const PANELS: Panel[] = ["yaml", "becomes", "plan"];

export function Edit({ wukong }: { wukong?: Wukong }) {
  const { t, about, notify } = useShared();
  const [draft, setDraft] = useState(() => (wukong ? draftOf(wukong) : fresh(about.namespace)));
  // The generation that this edit began with: a later one comes from another user.
  const [generation] = useState(wukong?.metadata.generation);
  const [text, setText] = useState("");
  const [schema, setSchema] = useState<Schema | null>(null);
  const [checked, setChecked] = useState<Checked | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const [touched, setTouched] = useState(wukong !== undefined);
  const [all, setAll] = useState(false);
  const [panel, setPanel] = useState<Panel>("yaml");
  const [review, setReview] = useState(false);
  const asked = useRef<AbortController | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>();

  const ask = (body: { object: Draft } | { yaml: string }) => {
    setBusy(true);
    clearTimeout(timer.current);
    asked.current?.abort();
    timer.current = setTimeout(() => {
      const control = new AbortController();
      asked.current = control;
      post<Checked>("/api/check", body, control.signal)
        .then((answer) => {
          setError("");
          setBusy(false);
          if (answer.unreadable) {
            setChecked((old) => (old ? { ...old, unreadable: answer.unreadable ?? "" } : answer));
            return;
          }
          setChecked(answer);
          if ("yaml" in body) setDraft(answer.object);
          else setText(answer.yaml);
        })
        .catch((failed: unknown) => {
          if (control.signal.aborted) return;
          setBusy(false);
          setError(messageOf(failed));
        });
    }, PAUSE);
  };

  useEffect(() => {
    get<Schema>("/api/schema")
      .then(setSchema)
      .catch((failed: unknown) => setError(messageOf(failed)));
    ask({ object: draft });
    return () => {
      clearTimeout(timer.current);
      asked.current?.abort();
    };
  }, []);

  const change = (next: Draft) => {
    setDraft(next);
    setTouched(true);
    ask({ object: next });
  };

  if (!schema) return error ? <Empty bad title={t("edit")} text={error} /> : <p class="dim">{t("loading")}</p>;
  const problems = checked?.problems ?? [];
  const count = problems.length;
  const good = checked !== null && !checked.unreadable && count === 0 && !busy && !error;
  return (
    <div class="editor">
      <section class="left" aria-label={t("form")}>
        <Form
          schema={schema}
          draft={draft}
          problems={touched ? problems : []}
          all={all}
          set={change}
          isNew={!wukong}
        />
        <button type="button" aria-pressed={all} onClick={() => setAll(!all)}>
          {all ? t("showFew") : t("showAll")}
        </button>
      </section>
      <section class="right" aria-label={t("yaml")}>
        <div class="tabs" role="tablist">
          {PANELS.map((name) => (
            <button
              type="button"
              role="tab"
              key={name}
              id={`tab-${name}`}
              aria-selected={panel === name}
              aria-controls="panel"
              onClick={() => setPanel(name)}
            >
              {t(name)}
            </button>
          ))}
        </div>
        <div id="panel" role="tabpanel" aria-labelledby={`tab-${panel}`}>
          {panel === "yaml" ? (
            <textarea
              class="yaml"
              aria-label={t("yaml")}
              spellcheck={false}
              value={text}
              onInput={(event) => {
                setText(event.currentTarget.value);
                setTouched(true);
                ask({ yaml: event.currentTarget.value });
              }}
            />
          ) : panel === "becomes" ? (
            checked?.render ? (
              <>
                {checked.notes.map((note) => (
                  <p class="banner" key={note}>
                    {note}
                  </p>
                ))}
                <Code text={checked.render} label={t("becomes")} />
              </>
            ) : (
              <p class="dim">{t("planInvalid")}</p>
            )
          ) : (
            <PlanView checked={checked} />
          )}
        </div>
      </section>
      <div class="footer">
        <div role="status" class="verdict">
          {error ? (
            <span class="text-bad">{error}</span>
          ) : checked?.unreadable ? (
            <span class="text-bad">
              {t("yamlWrong")}: {checked.unreadable}
            </span>
          ) : busy || !checked ? (
            <span class="dim">{t("checking")}</span>
          ) : count === 0 ? (
            <span class="mark-good">{t("noProblems")}</span>
          ) : touched ? (
            <details>
              <summary class="text-bad">{count === 1 ? t("problems1") : t("problemsN", { n: count })}</summary>
              <ul>
                {problems.map((problem) => (
                  <li key={problem.path + problem.message}>
                    <code>{problem.path}</code> {problem.message}
                  </li>
                ))}
              </ul>
            </details>
          ) : null}
        </div>
        <span class="grow" />
        <button type="button" class="primary" disabled={!good} onClick={() => setReview(true)}>
          {wukong ? t("review") : t("reviewCreate")}
        </button>
      </div>
      {review && checked && (
        <Review
          checked={checked}
          isNew={!wukong}
          apply={() => post<Applied>("/api/apply", { object: draft, generation })}
          done={(applied, restart) => {
            notify(t("applied"));
            go(vmPlace(applied.namespace, applied.name));
            if (!restart) return;
            post(vmPath(applied.namespace, applied.name, "power"), { action: "restart", generation: applied.generation })
              .then(() => notify(t("requested", { action: t("restart") })))
              .catch((failed: unknown) => notify(messageOf(failed), true));
          }}
          close={() => setReview(false)}
        />
      )}
    </div>
  );
}

export function New() {
  const { t } = useShared();
  return (
    <div>
      <nav class="crumbs" aria-label={t("back")}>
        <a href="#/">← {t("back")}</a>
      </nav>
      <div class="head">
        <h1>{t("createTitle")}</h1>
      </div>
      <Edit />
    </div>
  );
}

function PlanView({ checked }: { checked: Checked | null }) {
  const { t } = useShared();
  if (!checked || checked.problems.length > 0) return <p class="dim">{t("planInvalid")}</p>;
  if (checked.planError) {
    return (
      <p class="banner bad">
        {t("planFailed")}: {checked.planError}
      </p>
    );
  }
  return checked.plan ? <Changes plan={checked.plan} /> : null;
}

function Changes({ plan }: { plan: Plan }) {
  const { t } = useShared();
  return (
    <div class="plan">
      {plan.conflicts?.map((conflict) => (
        <p class="banner bad" key={conflict.message}>
          <b>{conflict.reason}</b> {conflict.message}
        </p>
      ))}
      {plan.creates ? (
        <>
          <p>{t("planCreates")}</p>
          <ul class="objects">
            {plan.objects.map((object) => (
              <li key={object}>
                <span aria-hidden="true">+</span> {object}
              </li>
            ))}
          </ul>
        </>
      ) : plan.changes.length === 0 ? (
        <p class="dim">{t("planNone")}</p>
      ) : (
        <ul class="changes">
          {plan.changes.map((change) => (
            <li key={change.path}>
              <p>
                <code>{change.path}</code> <Effect name={change.class} />
              </p>
              <p class="mono values">
                {change.from !== undefined && <del>{change.from}</del>}
                {change.to !== undefined && <ins>{change.to}</ins>}
              </p>
              <p class="dim">{change.why}</p>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

// Shows the plan once more. Applies it when its user accepts what it costs.
function Review(props: {
  checked: Checked;
  isNew: boolean;
  apply: () => Promise<Applied>;
  done: (applied: Applied, restart: boolean) => void;
  close: () => void;
}) {
  const { t } = useShared();
  const changes = props.checked.plan?.changes ?? [];
  const refused = changes.some((change) => change.class === "refused");
  const data = changes.some((change) => change.class === "destroys data");
  const restart = changes.some((change) => RESTARTS.has(change.class));
  const nothing = !props.isNew && changes.length === 0 && props.checked.plan !== null;
  const [accepted, setAccepted] = useState({ data: false, restart: false, now: false });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const ready = !refused && (!data || accepted.data) && (!restart || accepted.restart) && !busy;
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    props
      .apply()
      .then((applied) => props.done(applied, accepted.now))
      .catch((failed: unknown) => {
        setBusy(false);
        const conflict = failed instanceof Refused && failed.code === 409 && !props.isNew;
        setError(conflict ? t("conflict") : messageOf(failed));
      });
  };
  const accept = (what: keyof typeof accepted, text: string) => (
    <label class="accept">
      <input
        type="checkbox"
        checked={accepted[what]}
        onChange={(event) => setAccepted({ ...accepted, [what]: event.currentTarget.checked })}
      />
      {text}
    </label>
  );
  return (
    <Dialog title={t("plan")} wide onClose={props.close}>
      <form onSubmit={submit}>
        <PlanView checked={props.checked} />
        {refused && <p class="banner bad">{t("refusedPlan")}</p>}
        {data && accept("data", t("confirmData"))}
        {restart && accept("restart", t("confirmRestart"))}
        {restart && changes.every((change) => change.class !== "power off") && accept("now", t("restartNow"))}
        {error && (
          <p class="banner bad" role="alert">
            {error}
          </p>
        )}
        <p class="actions end">
          <button type="button" onClick={props.close}>
            {t("cancel")}
          </button>
          <button type="submit" class={data ? "danger filled" : "primary"} disabled={!ready || nothing}>
            {props.isNew ? t("create") : t("apply")}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
