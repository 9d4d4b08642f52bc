// The page.
import { render } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import "./app.css";
import { Cluster } from "./cluster";
import { Context, store, stored, translator, usePlace, type Shared } from "./context";
import { New } from "./edit";
import { clock } from "./format";
import { List, useRows } from "./list";
import type { About } from "./model";
import { begin, get, messageOf, Refused } from "./net";
import { Code, Empty } from "./parts";
import { Vm } from "./vm";
import type { Language } from "./words";

const TICK = 5000;
const NOTICE = 6000;

function firstLanguage(): Language {
  const chosen = stored("language");
  if (chosen === "en" || chosen === "zh") return chosen;
  return navigator.language.startsWith("zh") ? "zh" : "en";
}

function isDark(): boolean {
  const chosen = stored("theme");
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function Page({ about }: { about: About }) {
  const [language, setLanguage] = useState(firstLanguage);
  const [dark, setDark] = useState(isDark);
  const [now, setNow] = useState(() => Date.parse(about.now));
  const [notice, setNotice] = useState<{ text: string; bad: boolean } | null>(null);
  const [lost, setLost] = useState(false);
  const lostTimer = useRef<ReturnType<typeof setTimeout>>();
  const place = usePlace();

  const connected = (is: boolean) => {
    clearTimeout(lostTimer.current);
    if (is) setLost(false);
    else lostTimer.current = setTimeout(() => setLost(true), 2000);
  };
  const known = useRows(connected);

  useEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }, [language, dark]);
  useEffect(() => {
    if (about.bundle) return;
    // The clock of the plugin counts, not that of the browser.
    const ahead = Date.now() - Date.parse(about.now);
    const timer = setInterval(() => setNow(Date.now() - ahead), TICK);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => setNotice(null), NOTICE);
    return () => clearTimeout(timer);
  }, [notice]);

  const shared = useMemo<Shared>(
    () => ({
      about,
      language,
      ...translator(language),
      now,
      notify: (text, bad = false) => setNotice({ text, bad }),
    }),
    [about, language, now],
  );
  const { t } = shared;
  const [, root = "", namespace = "", name = "", tab = ""] = place.split("/");
  useEffect(() => {
    const where = root === "vm" ? name : root === "cluster" ? t("cluster") : root === "new" ? t("newVm") : t("title");
    document.title = `${where} · Wukong`;
  }, [place, language]);

  return (
    <Context.Provider value={shared}>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}>
        {t("skip")}
      </a>
      <header class="top">
        <a class="brand" href="#/">
          <img src="/assets/icon.svg" alt="" width="26" height="26" />
          Wukong
        </a>
        <nav aria-label="Wukong">
          <a href="#/" aria-current={root === "" || root === "vm" || root === "new" ? "page" : undefined}>
            {t("title")}
          </a>
          <a href="#/cluster" aria-current={root === "cluster" ? "page" : undefined}>
            {t("cluster")}
          </a>
        </nav>
        <span class="grow" />
        <span class="scope">
          {about.bundle ? t("bundle") : about.allNamespaces ? t("allNamespaces") : about.namespace}
        </span>
        <button
          type="button"
          class="plain"
          aria-label={t("languageLabel")}
          onClick={() => {
            const next = language === "en" ? "zh" : "en";
            store("language", next);
            setLanguage(next);
          }}
        >
          {t("language")}
        </button>
        <button
          type="button"
          class="plain"
          aria-label={t("theme")}
          onClick={() => {
            store("theme", dark ? "light" : "dark");
            setDark(!dark);
          }}
        >
          {dark ? "☀" : "☾"}
        </button>
      </header>
      {lost && (
        <p class="banner bad wide" role="alert">
          {t("lost")}
        </p>
      )}
      {about.bundle && (
        <p class="banner wide">{t("bundleTaken", { time: clock(about.bundle.taken, language) })}</p>
      )}
      <main id="main" tabIndex={-1}>
        {root === "vm" && name ? (
          <Vm namespace={namespace} name={name} tab={tab} connected={connected} />
        ) : root === "new" && !about.bundle ? (
          <New />
        ) : root === "cluster" ? (
          <Cluster />
        ) : (
          <List known={known} />
        )}
      </main>
      <div class="notice" role="status">
        {notice && <p class={notice.bad ? "bad" : "good"}>{notice.text}</p>}
      </div>
    </Context.Provider>
  );
}

// Without a session, or without a plugin.
function Locked({ error }: { error: unknown }) {
  const language = firstLanguage();
  const shared = translator(language);
  const locked = error instanceof Refused && error.code === 401;
  const about: About = { version: "", bundle: null, namespace: "", allNamespaces: false, now: "" };
  return (
    <Context.Provider value={{ ...shared, about, language, now: 0, notify: () => {} }}>
      <main>
        <Empty
          bad
          title={locked ? shared.t("lockedTitle") : shared.t("lost")}
          text={locked ? shared.t("lockedText") : messageOf(error)}
        >
          {locked && <Code text="kubectl wukong ui" label="kubectl wukong ui" />}
        </Empty>
      </main>
    </Context.Provider>
  );
}

async function start() {
  const root = document.getElementById("page");
  if (!root) return;
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  document.documentElement.lang = firstLanguage() === "zh" ? "zh-CN" : "en";
  try {
    await begin();
    const about = await get<About>("/api/about");
    if (about.bundle && location.hash.replace(/^#\/?/, "") === "") {
      location.hash = `/vm/${about.bundle.namespace}/${about.bundle.name}`;
    }
    render(<Page about={about} />, root);
  } catch (error) {
    render(<Locked error={error} />, root);
  }
}

void start();
