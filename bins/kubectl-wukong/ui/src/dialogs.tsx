// Dialogs of one VM: an object as YAML, and the deletion.
import { useEffect, useState } from "preact/hooks";
import { go, useShared } from "./context";
import type { Wukong } from "./model";
import { get, messageOf, post, vmPath } from "./net";
import { Code, Dialog } from "./parts";

export function ObjectDialog(props: { namespace: string; vm: string; object: string; onClose: () => void }) {
  const { t } = useShared();
  const [shown, setShown] = useState<{ yaml?: string; error?: string }>({});
  const [kind = "", ...rest] = props.object.split("/");
  useEffect(() => {
    const query = new URLSearchParams({ kind, object: rest.join("/") });
    get<{ yaml: string }>(vmPath(props.namespace, props.vm, `object?${query}`))
      .then(setShown)
      .catch((error: unknown) => setShown({ error: messageOf(error) }));
  }, [props.object]);
  return (
    <Dialog title={props.object} wide onClose={props.onClose}>
      {shown.error ? (
        <p class="banner bad">{shown.error}</p>
      ) : shown.yaml ? (
        <>
          <p class="dim">{t("objectSecret")}</p>
          <Code text={shown.yaml} label={props.object} />
        </>
      ) : (
        <p class="dim">{t("loading")}</p>
      )}
    </Dialog>
  );
}

export function DeleteDialog({ wukong, onClose }: { wukong: Wukong; onClose: () => void }) {
  const { t, notify } = useShared();
  const { namespace = "", name } = wukong.metadata;
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const disks = wukong.status?.volumes ?? [];
  const names = (policy: string) =>
    disks
      .filter((disk) => disk.reclaimPolicy === policy)
      .map((disk) => disk.name)
      .join(", ");
  const submit = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    post(vmPath(namespace, name, "delete"), { name: typed })
      .then(() => {
        notify(t("requested", { action: t("delete") }));
        onClose();
        go("/");
      })
      .catch((error: unknown) => notify(messageOf(error), true))
      .finally(() => setBusy(false));
  };
  return (
    <Dialog title={t("deleteTitle", { name })} onClose={onClose}>
      <p>{t("deleteText")}</p>
      {names("Delete") && <p class="banner bad">{t("deleteDisks", { names: names("Delete") })}</p>}
      {names("Retain") && <p class="banner">{t("deleteKeeps", { names: names("Retain") })}</p>}
      <form onSubmit={submit}>
        <label>
          {t("deleteType")}
          <input value={typed} autocomplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
        </label>
        <p class="actions end">
          <button type="button" onClick={onClose}>
            {t("cancel")}
          </button>
          <button type="submit" class="danger filled" disabled={typed !== name || busy}>
            {t("delete")}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
