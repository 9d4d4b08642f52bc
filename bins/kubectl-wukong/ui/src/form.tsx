// The form of a manifest, made from the schema.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { useShared } from "./context";
import type { Draft, Value } from "./model";
import { kindOf, pathText, read, words, write, type Schema, type Step } from "./schema";
import type { Word } from "./words";

// Groups of the top-level fields. A field that none names, such as a later one, is in the last.
const GROUPS: [Word, string[]][] = [
  ["basics", ["cpu", "memory", "osImage", "powerState"]],
  ["login", ["sshKeySecret", "cloudInitUser", "userDataSecret", "userDataFormat"]],
  ["disks", ["disks"]],
  ["networks", ["networks", "podNetwork", "podNetworkDnsServers", "podNetworkIpFamily"]],
  ["advanced", ["highAvailability", "startStrategy", "running", "restartApproval", "terminationGracePeriodSeconds"]],
  ["machine", []],
];

// The fields of each object that are shown at first, with those that have a value.
const COMMON: Record<string, string[]> = {
  spec: ["cpu", "memory", "osImage", "powerState", "sshKeySecret", "cloudInitUser", "disks", "networks"],
  "spec.cloudInitUser": ["name", "password", "sudo"],
  "spec.disks[]": ["name", "size", "image", "storageClassName", "boot"],
  "spec.networks[]": ["name", "type", "bridgeName", "vlanId", "nadName", "ipConfig"],
  "spec.networks[].ipConfig": ["mode", "address", "gateway", "dnsServers"],
};

const HIDDEN = "$REDACTED";
const UNITS = ["Mi", "Gi", "Ti"];

interface FormProps {
  schema: Schema;
  draft: Draft;
  problems: { path: string; message: string }[];
  all: boolean;
  set: (draft: Draft) => void;
  isNew: boolean;
}

interface FieldProps {
  form: FormProps;
  schema: Schema;
  name: string;
  path: Step[];
  required: boolean;
}

function shape(path: Step[]): string {
  return pathText(path).replace(/\[\d+\]/g, "[]");
}

function useChange({ form, path }: Pick<FieldProps, "form" | "path">): (value: Value | undefined) => void {
  return (value) => form.set(write(form.draft, path, value) as Draft);
}

function isShown(form: FormProps, path: Step[], name: string): boolean {
  const common = COMMON[shape(path)];
  if (form.all || !common || common.includes(name)) return true;
  const field = pathText([...path, name]);
  return read(form.draft, [...path, name]) !== undefined || form.problems.some((problem) => problem.path.startsWith(field));
}

export function Form(form: FormProps) {
  const { t } = useShared();
  const properties = form.schema.properties ?? {};
  const named = new Set(GROUPS.flatMap(([, names]) => names));
  return (
    <div class="form">
      {GROUPS.map(([group, names], index) => {
        const last = index === GROUPS.length - 1;
        const fields = (last ? Object.keys(properties).filter((name) => !named.has(name)) : names).filter(
          (name) => properties[name] && isShown(form, ["spec"], name),
        );
        if (fields.length === 0) return null;
        return (
          <fieldset key={group} class="group">
            <legend class={names[0] === group ? "unseen" : undefined}>{t(group)}</legend>
            {group === "basics" && <Identity {...form} />}
            {fields.map((name) => (
              <Field
                key={name}
                form={form}
                schema={properties[name] ?? {}}
                name={name}
                path={["spec", name]}
                required={form.schema.required?.includes(name) ?? false}
              />
            ))}
          </fieldset>
        );
      })}
      {form.all && <Labels {...form} />}
    </div>
  );
}

function Identity(form: FormProps) {
  const { t } = useShared();
  const text: Schema = { type: "string" };
  return (
    <>
      {(["name", "namespace"] as const).map((name) => (
        <Frame key={name} label={t(name)} path={["metadata", name]} form={form} required={name === "name"}>
          {(id, described) => (
            <TextInput
              id={id}
              described={described}
              form={form}
              path={["metadata", name]}
              schema={text}
              disabled={!form.isNew}
            />
          )}
        </Frame>
      ))}
    </>
  );
}

// Labels and annotations of the Wukong itself.
function Labels(form: FormProps) {
  const map: Schema = { type: "object", additionalProperties: { type: "string" } };
  return (
    <fieldset class="group">
      <legend>Metadata</legend>
      {["labels", "annotations"].map((name) => (
        <Field key={name} form={form} schema={map} name={name} path={["metadata", name]} required={false} />
      ))}
    </fieldset>
  );
}

function Problems({ form, path, id }: { form: FormProps; path: Step[]; id: string }) {
  const text = pathText(path);
  const own = form.problems.filter((problem) => problem.path === text);
  if (own.length === 0) return null;
  return (
    <p class="problem" id={id}>
      {own.map((problem) => problem.message).join("; ")}
    </p>
  );
}

// The names between backticks as code.
function marked(text: string): ComponentChildren[] {
  return text.split("`").map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part));
}

function Help({ text, id }: { text: string | undefined; id: string }) {
  const { t } = useShared();
  const [all, setAll] = useState(false);
  if (!text) return null;
  const first = /^[\s\S]*?\.(?=\s|$)/.exec(text)?.[0] ?? text;
  const short = first.length < text.length;
  return (
    <p class="help" id={id}>
      {marked(all ? text : first)}
      {short && (
        <button type="button" class="link" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? t("lessHelp") : t("moreHelp")}
        </button>
      )}
    </p>
  );
}

// Label, control, help and problems of a field.
function Frame(props: {
  label: string;
  path: Step[];
  form: FormProps;
  required: boolean;
  help?: string | undefined;
  children: (id: string, described: string) => ComponentChildren;
}) {
  const id = useId();
  const has = props.form.problems.some((problem) => problem.path === pathText(props.path));
  return (
    <div class={`field ${has ? "wrong" : ""}`} data-path={pathText(props.path)}>
      <label for={id}>
        {props.label}
        {props.required && <span aria-hidden="true"> *</span>}
      </label>
      <div class="control">
        {props.children(id, `${id}-help ${id}-problem`)}
        <Problems form={props.form} path={props.path} id={`${id}-problem`} />
        <Help text={props.help} id={`${id}-help`} />
      </div>
    </div>
  );
}

function Field(props: FieldProps) {
  const kind = kindOf(props.name, props.schema);
  if (kind === "object") return <ObjectField {...props} />;
  if (kind === "objects" || kind === "list") return <ListField {...props} />;
  if (kind === "map") return <MapField {...props} />;
  return (
    <Frame
      label={words(props.name)}
      path={props.path}
      form={props.form}
      required={props.required}
      help={props.schema.description}
    >
      {(id, described) => <Control {...props} id={id} described={described} />}
    </Frame>
  );
}

interface ControlProps {
  form: FormProps;
  path: Step[];
  schema: Schema;
  id: string;
  described: string;
}

function Control(props: ControlProps & { name: string; required: boolean }) {
  const { t } = useShared();
  const change = useChange(props);
  const value = read(props.form.draft, props.path);
  const shared = { id: props.id, "aria-describedby": props.described };
  switch (kindOf(props.name, props.schema)) {
    case "choice":
      return (
        <select {...shared} value={String(value ?? "")} onChange={(event) => change(event.currentTarget.value || undefined)}>
          <option value="">{t("byDefault")}</option>
          {props.schema.enum?.filter(Boolean).map((name) => (
            <option key={name} value={name ?? ""}>
              {name}
            </option>
          ))}
        </select>
      );
    case "flag":
      return (
        <select
          {...shared}
          value={value === undefined ? "" : String(value)}
          onChange={(event) =>
            change(event.currentTarget.value === "" ? undefined : event.currentTarget.value === "true")
          }
        >
          <option value="">{t("byDefault")}</option>
          <option value="true">{t("yes")}</option>
          <option value="false">{t("no")}</option>
        </select>
      );
    case "number":
      return (
        <input
          {...shared}
          type="number"
          min={props.schema.minimum}
          max={props.schema.maximum}
          value={value === undefined || value === null ? "" : String(value)}
          onInput={(event) =>
            change(event.currentTarget.value === "" ? undefined : Number(event.currentTarget.value))
          }
        />
      );
    case "quantity":
      return <Quantity {...props} />;
    case "secret":
      return (
        <>
          <input
            {...shared}
            type="password"
            autocomplete="new-password"
            value={String(value ?? "")}
            onInput={(event) => change(event.currentTarget.value || undefined)}
          />
          {value === HIDDEN && <p class="help">{t("hiddenSecret")}</p>}
        </>
      );
    default:
      return <TextInput {...props} />;
  }
}

function TextInput(props: ControlProps & { disabled?: boolean }) {
  const change = useChange(props);
  const value = read(props.form.draft, props.path);
  return (
    <input
      id={props.id}
      aria-describedby={props.described}
      type="text"
      spellcheck={false}
      autocomplete="off"
      disabled={props.disabled}
      maxLength={props.schema.maxLength}
      value={String(value ?? "")}
      onInput={(event) => change(event.currentTarget.value || undefined)}
    />
  );
}

// A number and its unit. A quantity of another form, such as 1e9, stays a text.
function Quantity(props: ControlProps & { name: string }) {
  const { t } = useShared();
  const change = useChange(props);
  const value = String(read(props.form.draft, props.path) ?? "");
  const match = /^([0-9.]*)(Mi|Gi|Ti)?$/.exec(value);
  const [unit, setUnit] = useState(match?.[2] ?? "Gi");
  useEffect(() => {
    if (match?.[2]) setUnit(match[2]);
  }, [match?.[2]]);
  if (!match || (match[1] && !match[2])) return <TextInput {...props} />;
  return (
    <span class="quantity">
      <input
        id={props.id}
        aria-describedby={props.described}
        type="number"
        min={0}
        step="any"
        value={match[1]}
        onInput={(event) => change(event.currentTarget.value ? `${event.currentTarget.value}${unit}` : undefined)}
      />
      <select
        aria-label={`${words(props.name)}: ${t("size")}`}
        value={unit}
        onChange={(event) => {
          setUnit(event.currentTarget.value);
          if (match[1]) change(`${match[1]}${event.currentTarget.value}`);
        }}
      >
        {UNITS.map((name) => (
          <option key={name} value={name}>
            {name}B
          </option>
        ))}
      </select>
    </span>
  );
}

function ObjectField(props: FieldProps) {
  const { t } = useShared();
  const change = useChange(props);
  const value = read(props.form.draft, props.path);
  const label = words(props.name);
  const id = useId();
  return (
    <div class="object" role="group" aria-labelledby={id} data-path={pathText(props.path)}>
      <div class="title">
        <span id={id}>{label}</span>
        {value === undefined ? (
          <button type="button" class="small" aria-label={t("addOf", { field: label })} onClick={() => change({})}>
            + {t("add")}
          </button>
        ) : (
          <button
            type="button"
            class="small plain"
            aria-label={t("removeOf", { field: label })}
            onClick={() => change(undefined)}
          >
            ✕
          </button>
        )}
      </div>
      <Help text={props.schema.description} id={`${id}-help`} />
      <Problems form={props.form} path={props.path} id={`${id}-problem`} />
      {value !== undefined && <Fields {...props} />}
    </div>
  );
}

function Fields({ form, schema, path }: Pick<FieldProps, "form" | "schema" | "path">) {
  const properties = schema.properties ?? {};
  const names = Object.keys(properties).filter((name) => isShown(form, path, name));
  const common = COMMON[shape(path)] ?? schema.required ?? [];
  const place = (name: string) => (common.includes(name) ? common.indexOf(name) : common.length);
  names.sort((a, b) => place(a) - place(b));
  return (
    <div class="fields">
      {names.map((name) => (
        <Field
          key={name}
          form={form}
          schema={properties[name] ?? {}}
          name={name}
          path={[...path, name]}
          required={schema.required?.includes(name) ?? false}
        />
      ))}
    </div>
  );
}

function ListField(props: FieldProps) {
  const { t } = useShared();
  const change = useChange(props);
  const found = read(props.form.draft, props.path);
  const items = Array.isArray(found) ? found : [];
  const schema = props.schema.items ?? {};
  const objects = schema.type === "object";
  const label = words(props.name);
  const id = useId();
  const change1 = (index: number, value: Value | undefined) =>
    props.form.set(write(props.form.draft, [...props.path, index], value) as Draft);
  const remove = (index: number) => (items.length === 1 ? change(undefined) : change1(index, undefined));
  return (
    <div class="object" role="group" aria-labelledby={id} data-path={pathText(props.path)}>
      <div class="title">
        <span id={id}>{label}</span>
        <button
          type="button"
          class="small"
          aria-label={t("addOf", { field: label })}
          onClick={() => change([...items, objects ? {} : ""])}
        >
          + {t("add")}
        </button>
      </div>
      <Help text={props.schema.description} id={`${id}-help`} />
      <Problems form={props.form} path={props.path} id={`${id}-problem`} />
      {items.map((item, index) => {
        const path = [...props.path, index];
        const title = objects ? String(read(item, ["name"]) ?? read(item, ["id"]) ?? index + 1) : "";
        return (
          <div class={objects ? "item" : "line"} key={index} data-path={pathText(path)}>
            {objects ? (
              <>
                <div class="title">
                  <span>{title}</span>
                  <button
                    type="button"
                    class="small plain"
                    aria-label={t("removeOf", { field: `${label} ${title}` })}
                    onClick={() => remove(index)}
                  >
                    ✕
                  </button>
                </div>
                <Problems form={props.form} path={path} id={`${id}-${index}`} />
                <Fields form={props.form} schema={schema} path={path} />
              </>
            ) : (
              <>
                {schema.enum ? (
                  <select
                    aria-label={`${label} ${index + 1}`}
                    value={String(item)}
                    onChange={(event) => change1(index, event.currentTarget.value)}
                  >
                    <option value="" />
                    {schema.enum.map((name) => (
                      <option key={name} value={name ?? ""}>
                        {name}
                      </option>
                    ))}
                  </select>
                ) : (
                  <input
                    type="text"
                    spellcheck={false}
                    aria-label={`${label} ${index + 1}`}
                    value={String(item ?? "")}
                    onInput={(event) => change1(index, event.currentTarget.value)}
                  />
                )}
                <button
                  type="button"
                  class="small plain"
                  aria-label={t("removeOf", { field: `${label} ${index + 1}` })}
                  onClick={() => remove(index)}
                >
                  ✕
                </button>
                <Problems form={props.form} path={path} id={`${id}-${index}`} />
              </>
            )}
          </div>
        );
      })}
    </div>
  );
}

function MapField(props: FieldProps) {
  const { t } = useShared();
  const change = useChange(props);
  const found = read(props.form.draft, props.path);
  const stored = found && typeof found === "object" && !Array.isArray(found) ? Object.entries(found) : [];
  // A row without a name is not in the manifest yet.
  const [rows, setRows] = useState<[string, string][]>([]);
  const known = rows.filter(([name]) => name !== "");
  const differs =
    known.length !== stored.length || known.some(([name, value]) => String(read(found, [name]) ?? "") !== value);
  const shown = differs ? stored.map(([name, value]): [string, string] => [name, String(value)]) : rows;
  const set = (next: [string, string][]) => {
    setRows(next);
    const fields = Object.fromEntries(next.filter(([name]) => name !== ""));
    change(Object.keys(fields).length > 0 ? fields : undefined);
  };
  const label = words(props.name);
  const id = useId();
  return (
    <div class="object" role="group" aria-labelledby={id} data-path={pathText(props.path)}>
      <div class="title">
        <span id={id}>{label}</span>
        <button
          type="button"
          class="small"
          aria-label={t("addOf", { field: label })}
          onClick={() => set([...shown, ["", ""]])}
        >
          + {t("add")}
        </button>
      </div>
      <Help text={props.schema.description} id={`${id}-help`} />
      <Problems form={props.form} path={props.path} id={`${id}-problem`} />
      {shown.map(([name, value], index) => (
        <div class="line" key={index} data-path={`${pathText(props.path)}{}`}>
          <input
            type="text"
            aria-label={`${label} ${index + 1}: ${t("key")}`}
            placeholder={t("key")}
            value={name}
            onInput={(event) =>
              set(shown.map((row, at) => (at === index ? [event.currentTarget.value, row[1]] : row)))
            }
          />
          <input
            type="text"
            aria-label={`${label} ${index + 1}: ${t("value")}`}
            placeholder={t("value")}
            value={value}
            onInput={(event) =>
              set(shown.map((row, at) => (at === index ? [row[0], event.currentTarget.value] : row)))
            }
          />
          <button
            type="button"
            class="small plain"
            aria-label={t("removeOf", { field: `${label} ${index + 1}` })}
            onClick={() => set(shown.filter((_, at) => at !== index))}
          >
            ✕
          </button>
        </div>
      ))}
    </div>
  );
}
