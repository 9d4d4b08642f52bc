// Why a VM does not run, as a picture: the steps that are done, the one with the cause, and those behind it; below the
// cause, the objects that lead to it.
import { useShared } from "./context";
import { age } from "./format";
import type { Finding, Wukong } from "./model";

// Conditions that say something about a VM that runs; they are no steps on the way.
const ASIDE = new Set(["Ready", "ConfigurationApplied", "LiveMigratable", "Deleting"]);

type Mark = "done" | "cause" | "ahead";

interface StepOf {
  type: string;
  mark: Mark;
  reason: string;
}

function steps(wukong: Wukong, cause: string | undefined): StepOf[] {
  let behind = false;
  return (wukong.status?.conditions ?? [])
    .filter((condition) => !ASIDE.has(condition.type) || condition.type === cause)
    .map((condition) => {
      const mark: Mark =
        condition.type === cause ? "cause" : condition.status === "True" && !behind ? "done" : "ahead";
      behind ||= mark === "cause";
      return { type: condition.type, mark, reason: condition.reason };
    });
}

export function Steps({ wukong, cause }: { wukong: Wukong; cause: string | undefined }) {
  const { t, named } = useShared();
  const all = steps(wukong, cause);
  if (all.length === 0) return null;
  const word = { done: t("stepDone"), cause: t("stepCause"), ahead: t("stepAhead") };
  const sign = { done: "✓", cause: "✗", ahead: "" };
  return (
    <ol class="steps" aria-label={t("steps")}>
      {all.map((step) => (
        <li key={step.type} class={step.mark} title={step.reason}>
          <span class="mark" aria-hidden="true">
            {sign[step.mark]}
          </span>
          <span>{named("cond", step.type)}</span>
          <span class="unseen">: {word[step.mark]}</span>
        </li>
      ))}
    </ol>
  );
}

export function Chain({ finding, open }: { finding: Finding; open: (object: string) => void }) {
  const { t, now } = useShared();
  const chain = finding.chain ?? [];
  if (chain.length === 0) return null;
  return (
    <ol class="chain" aria-label={t("evidence")}>
      {chain.map((link, index) => {
        const [kind, ...rest] = link.object.split("/");
        const last = index === chain.length - 1;
        return (
          <li key={`${link.object}${index}`} class={last ? "cause" : "way"}>
            <button type="button" class="link" onClick={() => open(link.object)} title={t("open", { object: link.object })}>
              <small>{kind}</small>
              <strong>{rest.join("/")}</strong>
            </button>
            <span class="state">
              {link.state}
              {link.since && <span class="dim"> · {t("since", { age: age(link.since, now) })}</span>}
            </span>
            {link.text && <q>{link.text}</q>}
          </li>
        );
      })}
    </ol>
  );
}

export function Cause(props: {
  wukong: Wukong;
  finding: Finding;
  since?: string | undefined;
  open: (object: string) => void;
}) {
  const { t, now, named } = useShared();
  const { finding } = props;
  return (
    <section class="card cause" aria-labelledby="cause">
      <header>
        <h2 id="cause">{t("why")}</h2>
        {props.since && <span class="note">{t("since", { age: age(props.since, now) })}</span>}
      </header>
      <Steps wukong={props.wukong} cause={finding.condition} />
      <div class="verdict">
        <p class="reason">
          <b>{finding.reason}</b>
          <span class="dim"> · {named("cond", finding.condition)}</span>
        </p>
        <p class="message">{finding.message}</p>
        {finding.hint && (
          <p class="hint">
            <b>{t("todo")}</b>
            {finding.hint}
          </p>
        )}
      </div>
      <Chain finding={finding} open={props.open} />
    </section>
  );
}
