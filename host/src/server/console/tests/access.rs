//! Who may see the pages, and press their buttons.

use super::*;

#[tokio::test(start_paused = true)]
async fn who_has_no_session_is_asked_to_log_in() {
    let fixture = fixture().await;
    let pages = ["/console", "/console/tasks/endless", "/console/plan?store=documents"];
    for path in pages {
        for cookie in ["", "larder-console-9001=", "larder-console-9001=0123456789abcdef"] {
            let answer = fixture.get(path, cookie).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {cookie}");
            assert!(answer.text.contains("Log in") && !answer.text.contains("endless"), "{}", answer.text);
        }
    }
    for path in ["/console/tasks/endless/pause", "/console/plugins/zoo/reset", "/console/logout"] {
        let answer = fixture.post(path, "", "on=overview").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(fixture.tasks.status().iter().all(|task| !task.paused) && fixture.host.resets.lock().is_empty());

    for header in ["Bearer the-tokem", "Basic the-token", "the-token"] {
        let answer = fixture.send("GET", "/console", &[(AUTHORIZATION, header)], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header}");
    }
    let answer = fixture.send("GET", "/console", &[(AUTHORIZATION, "Bearer the-token")], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_token_waits_for_its_answer() {
    let fixture = fixture().await;
    for token in ["", "the-tokem", "the-token-and-more"] {
        let begun = tokio::time::Instant::now();
        let answer = fixture.post("/console/login", "", &format!("token={token}")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(answer.text.contains("This is not the token of this run"), "{}", answer.text);
        assert!(answer.header(SET_COOKIE).is_empty() && begun.elapsed() >= Duration::from_millis(300));
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_begins_one_session_within_a_minute() {
    let fixture = fixture().await;
    let refused = fixture.send("POST", "/v1/console/codes", &[(AUTHORIZATION, "Bearer wrong")], "").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);

    let path = format!("/console/login?code={}", fixture.code().await);
    let cookie = cookie_of(&fixture.get(&path, "").await);
    assert_eq!(fixture.get("/console", &cookie).await.status, StatusCode::OK);
    let used = fixture.get(&path, "").await;
    assert_eq!(used.status, StatusCode::UNAUTHORIZED);
    assert!(used.text.contains("used already") && used.header(SET_COOKIE).is_empty(), "{}", used.text);

    let path = format!("/console/login?code={}", fixture.code().await);
    tokio::time::advance(Duration::from_secs(61)).await;
    assert_eq!(fixture.get(&path, "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.get("/console/login?code=", "").await.status, StatusCode::UNAUTHORIZED);
    let known = fixture.get("/console/login", &cookie).await;
    assert_eq!((known.status, known.header(LOCATION)), (StatusCode::SEE_OTHER, "/console"));
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_somebody_logs_out_and_after_a_day() {
    let fixture = fixture().await;
    let (first, second) = (fixture.cookie().await, fixture.cookie().await);
    assert_ne!(first, second);
    let answer = fixture.post("/console/logout", &first, "").await;
    assert_eq!((answer.status, answer.header(LOCATION)), (StatusCode::SEE_OTHER, "/console/login"));
    assert!(answer.header(SET_COOKIE).starts_with("larder-console-9001=; Path=/console; Max-Age=0"));
    assert_eq!(fixture.get("/console", &first).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.get("/console", &second).await.status, StatusCode::OK);
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    assert_eq!(fixture.get("/console", &second).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn pages_of_other_sites_press_no_buttons() {
    let fixture = fixture().await;
    let cookie = fixture.cookie().await;
    let site = HeaderName::from_static("sec-fetch-site");
    for (header, value) in [
        (ORIGIN, "http://evil.example"),
        (ORIGIN, "http://127.0.0.1:8080"),
        (ORIGIN, "null"),
        (site.clone(), "cross-site"),
        (site, "same-site"),
    ] {
        for path in ["/console/plugins/zoo/reset", "/console/tasks/endless/pause", "/console/logout"] {
            let headers = [(COOKIE, &*cookie), (header.clone(), value)];
            let answer = fixture.send("POST", path, &headers, "on=overview").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{header}: {value} {path}");
        }
        let answer = fixture.send("POST", "/console/login", &[(header.clone(), value)], "token=the-token").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{header}: {value}");
    }
    let answer = fixture.send("POST", "/console/plugins/zoo/reset", &[(COOKIE, &cookie)], "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "a browser says where a form is from");
    assert!(fixture.tasks.status().iter().all(|task| !task.paused) && fixture.host.resets.lock().is_empty());
    assert_eq!(fixture.get("/console", &cookie).await.status, StatusCode::OK);
}
