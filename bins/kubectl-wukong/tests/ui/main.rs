//! The server of `kubectl wukong ui`: what it refuses, and what it never shows.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod http;
mod page;

use http::{Answer, Request};
use page::{CANARY, Page};
use serde_json::{Value, json};

#[test]
fn it_listens_on_loopback_and_says_what_another_address_means() {
    let page = Page::open(&[]);
    assert!(page.host.starts_with("127.0.0.1:"), "{}", page.host);
    assert_eq!(page.stderr(), "");
    let exposed = Page::open(&["--address", "0.0.0.0"]);
    let said = exposed.stderr();
    assert!(said.contains("0.0.0.0 is not loopback"), "{said}");
}

#[test]
fn the_token_opens_one_session() {
    let page = Page::open(&[]);
    assert_eq!(page.get("/api/about").code, 401);
    let wrong = page.exchange("00ff");
    assert_eq!((wrong.code, wrong.header("set-cookie")), (401, None));
    let cookie = page.exchange(&page.token).header("set-cookie").unwrap();
    let port = page.host.rsplit(':').next().unwrap();
    assert!(
        cookie.starts_with(&format!("wukong-ui-{port}=")),
        "{cookie}"
    );
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    assert_eq!(page.exchange(&page.token).code, 401, "it works once");
    let pair = cookie.split(';').next().unwrap();
    let about = page.send(Request::get("/api/about").header("cookie", pair));
    assert_eq!(about.code, 200, "{}", about.body);
    let other = pair.replace(port, "1");
    let about = page.send(Request::get("/api/about").header("cookie", &other));
    assert_eq!(about.code, 401);
}

#[test]
fn another_host_or_origin_is_refused() {
    let page = Page::open(&[]);
    let cookie = page.log_in();
    let about = Request::get("/api/about").header("cookie", &cookie);
    for host in ["evil.example", "evil.example:80", "10.0.0.1:1", ""] {
        let rebound = page.send_as(host, about.clone());
        assert_eq!(rebound.code, 421, "{host}");
    }
    // The page itself, too: another name gets nothing.
    assert_eq!(page.send_as("evil.example", Request::get("/")).code, 421);

    let check = Request::post("/api/check", &json!({"object": {}})).header("cookie", &cookie);
    for origin in ["http://evil.example", "null", "http://localhost:1", ""] {
        let foreign = page.send(check.clone().header("origin", origin));
        assert_eq!(foreign.code, 403, "{origin}");
    }
    for header in [
        "access-control-allow-origin",
        "access-control-allow-headers",
    ] {
        let answer = page.send(check.clone().header("origin", "http://evil.example"));
        assert_eq!(answer.header(header), None);
    }
    let console = Request::get("/api/vms/shop/web/console")
        .header("cookie", &cookie)
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let foreign = page.send(console.clone().header("origin", "http://evil.example"));
    assert_eq!(foreign.code, 403);
    // The own page is let through, as far as a bundle has consoles.
    let own = page.send(console.header("origin", &page.origin()));
    assert_eq!(own.code, 409, "{}", own.body);
}

#[test]
fn a_change_is_a_post_of_json_with_our_header() {
    let page = Page::open(&[]);
    let cookie = page.log_in();
    let path = "/api/vms/shop/web/power";
    let good = Request::post(path, &json!({"action": "stop"}))
        .header("cookie", &cookie)
        .header("origin", &page.origin());
    assert_eq!(page.send(good.clone()).code, 415, "without the header");
    let good = good.header("x-wukong-ui", "1");
    assert_eq!(page.send(good.clone()).code, 409, "a bundle has no power");
    for content in ["text/plain", "application/x-www-form-urlencoded"] {
        let form = page.send(good.clone().header("content-type", content));
        assert_eq!(form.code, 415, "{content}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        assert_eq!(page.send(good.clone().method(method)).code, 405, "{method}");
    }
    let get = Request::get(path).header("cookie", &cookie);
    assert_eq!(page.send(get).code, 405);
}

#[test]
fn every_answer_keeps_the_page_to_itself() {
    let page = Page::open(&[]);
    let cookie = page.log_in();
    for (path, code) in [
        ("/", 200),
        ("/assets/app.js", 200),
        ("/assets/app.css", 200),
        ("/assets/NOTICE.txt", 200),
        ("/assets/none.js", 404),
        ("/none", 404),
        ("/api/about", 200),
        ("/api/vms/shop/none%2f..%2fweb/live", 400),
    ] {
        let answer = page.send(Request::get(path).header("cookie", &cookie));
        assert_eq!(answer.code, code, "{path}: {}", answer.body);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("script-src"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name).as_deref(), Some(value), "{path}");
        }
        if path.starts_with("/api/") {
            assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        }
    }
    let index = page.get("/").body;
    assert!(
        !index.contains("<script>") && !index.contains("<style"),
        "{index}"
    );
    assert!(!index.contains("//"), "nothing from elsewhere: {index}");
}

#[test]
fn no_secret_is_shown() {
    let page = Page::open(&[]);
    let cookie = page.log_in();
    let get = |path: &str| page.send(Request::get(path).header("cookie", &cookie));
    let object = |kind: &str| format!("/api/vms/shop/web/object?kind={kind}&object=web");
    let mut answers: Vec<Answer> = ["diagnosis", "access"]
        .map(|rest| get(&format!("/api/vms/shop/web/{rest}")))
        .into();
    answers.extend(["Wukong", "VirtualMachine"].map(|kind| get(&object(kind))));
    answers.push(get("/api/cluster"));
    answers.push(page.first_event("/api/list", &cookie));
    answers.push(page.first_event("/api/vms/shop/web/live", &cookie));
    for answer in &answers {
        assert_eq!(answer.code, 200, "{}", answer.body);
        assert!(!answer.body.contains(CANARY), "{}", answer.body);
    }
    assert!(
        answers[2].body.contains("cloudInitUser"),
        "the rest is shown"
    );
    let secret = get("/api/vms/shop/web/object?kind=Secret&object=web");
    assert_eq!(secret.code, 400, "{}", secret.body);
}

#[test]
fn what_a_page_sends_and_opens_is_bounded() {
    let page = Page::open(&[]);
    let cookie = page.log_in();
    let large = json!({"yaml": "x".repeat(600 << 10)});
    let large = Request::post("/api/check", &large)
        .header("cookie", &cookie)
        .header("origin", &page.origin())
        .header("x-wukong-ui", "1");
    assert_eq!(page.send(large).code, 413);
    let list = Request::get("/api/list").header("cookie", &cookie);
    let open: Vec<_> = (0..64).map(|_| page.start(list.clone())).collect();
    assert!(open.iter().all(|stream| stream.code == 200));
    assert_eq!(page.send(list).code, 429);
}

#[test]
fn a_bundle_is_diagnosed_as_doctor_does() {
    let page = Page::open(&[]);
    let cookie = page.log_in();
    let get = |path: &str| page.send(Request::get(path).header("cookie", &cookie));
    let shown: Value = serde_json::from_str(&get("/api/vms/shop/web/diagnosis").body).unwrap();
    let blocker = &shown["diagnosis"]["blocker"];
    assert_eq!(blocker["reason"], "ImportFailed", "{shown}");
    assert_eq!(*blocker, page.doctor()["blocker"]);
    let list = page.first_event("/api/list", &cookie).body;
    let list: Value = serde_json::from_str(list.trim_start_matches("data: ").trim()).unwrap();
    assert_eq!(list["rows"][0]["name"], "web", "{list}");
    assert_eq!(list["complete"], true);
}

#[test]
fn it_ends_when_no_page_is_open() {
    let mut page = Page::open(&["--idle", "100ms"]);
    assert!(page.process.wait().unwrap().success());
}
