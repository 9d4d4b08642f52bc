// The boot as a timeline.
import { useShared } from "./context";
import { clock, duration } from "./format";
import type { Timeline } from "./model";
import { Card } from "./parts";

export function Boot({ timeline, waits }: { timeline: Timeline; waits: boolean }) {
  const { t, named, language, now } = useShared();
  const reached = timeline.steps.filter((step) => step.seconds !== null);
  const total = reached.reduce((sum, step) => sum + (step.seconds ?? 0), 0);
  const slowest = reached.find((step) => step.step === timeline.slowest);
  const next = waits ? timeline.steps.find((step) => step.at === null)?.step : undefined;
  const last = reached.at(-1)?.at ?? timeline.start;
  const note = [
    slowest && t("bootSlowest", { step: named("step", slowest.step), time: duration(slowest.seconds ?? 0) }),
    reached.length > 0 && t("bootTotal", { time: duration(total) }),
  ].filter(Boolean);
  return (
    <Card title={timeline.again ? t("bootAgain") : t("boot")} note={note.join(" · ")}>
      {total > 0 && (
        <div class="bar" aria-hidden="true">
          {reached.map((step) => (
            <span
              key={step.step}
              class={step.step === timeline.slowest ? "slowest" : ""}
              style={{ flexGrow: step.seconds ?? 0 }}
            />
          ))}
        </div>
      )}
      <ol class="boot">
        {timeline.steps.map((step) => (
          <li key={step.step} class={step.at ? (step.step === timeline.slowest ? "slowest" : "reached") : "ahead"}>
            <span class="mark" aria-hidden="true" />
            <span class="step">{named("step", step.step)}</span>
            <span class="time" title={step.at ? clock(step.at, language) : undefined}>
              {step.at
                ? step.seconds
                  ? `+${duration(step.seconds)}`
                  : "< 1s"
                : step.step === next
                  ? t("bootWaits", { time: duration((now - Date.parse(last)) / 1000) })
                  : t("bootAhead")}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
