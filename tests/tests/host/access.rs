//! Who is let in, and what is told to whom.

use super::*;

#[test]
fn requests_that_are_unsigned_or_signed_the_old_way_are_refused() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let host = home.serve();
    let date = ("Date", "Sat, 01 Jan 2028 00:00:00 GMT");
    let old = ("Authorization", "AWS larder:frJIUN8DYpKDtOLCwo//yllqDzg=");
    let old_query = "?AWSAccessKeyId=larder&Signature=frJIUN8DYpKDtOLCwo%2F%2FyllqDzg%3D&Expires=1830000000";
    for (method, path, headers) in [
        ("GET", "/", vec![]),
        ("GET", "/documents/k", vec![]),
        ("PUT", "/documents/k", vec![]),
        ("DELETE", "/documents/k", vec![]),
        ("GET", "/documents/k", vec![old, date]),
        ("PUT", "/documents/k", vec![old, date]),
        ("GET", &format!("/documents/k{old_query}"), vec![]),
    ] {
        let answer = http::send(host.s3, method, path, &headers, b"").unwrap();
        assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {}", answer.text());
        says(&answer.text(), &["AccessDenied"]);
    }
    for path in ["/v1/stores", "/v1/stores/documents/objects"] {
        assert_eq!(http::get(host.admin, path).unwrap().status, 401);
        let wrong = [("Authorization", "Bearer 0000")];
        assert_eq!(http::send(host.admin, "GET", path, &wrong, b"").unwrap().status, 401);
    }
    assert_eq!(home.succeed(&["ls", "-r", "documents"]), "");
}

#[test]
fn secrets_are_told_to_nobody() {
    let home = Home::new(&format!("{DOORS}{DOCUMENTS}"));
    let mut said = vec![home.succeed(&["config", "check"]), home.succeed(&["config", "check", "--json"])];
    let host = home.serve_with(&["-vvv"]);
    let token = fs::read_to_string(home.path("data/host.json")).unwrap();
    let token = serde_json::from_str::<serde_json::Value>(&token).unwrap()["token"].as_str().unwrap().to_owned();
    assert!(token.len() >= 32);
    fs::write(home.path("file"), "x").unwrap();
    let output = home.run(&["-vvv", "put", "documents/k", "file"]);
    said.extend([output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()));
    for path in ["/", "/documents/k", "/documents/k?X-Amz-Signature=abc"] {
        said.push(http::get(host.s3, path).unwrap().text());
    }
    for path in ["/metrics", "/readyz", "/healthz", "/v1/stores", "/nothing"] {
        said.push(http::get(host.admin, path).unwrap().text());
    }
    said.push(host.ready.to_string());
    said.push(host.stop().1);
    // A wrong configuration is quoted, but not its secrets.
    home.configure(&format!("{DOORS}{DOCUMENTS}").replace("secret_key:", "secret_kei:"));
    said.push(home.fail(&["config", "check"]).1);
    for said in said {
        assert!(!said.contains(SECRET_KEY) && !said.contains(&token), "{said}");
    }
}

#[test]
fn off_loopback_everybody_must_be_known() {
    let home = Home::new(&format!("{OPEN_DOORS}{DOCUMENTS}").replacen("127.0.0.1:0", "0.0.0.0:0", 1));
    let (_, said) = home.serve_in_vain();
    says(&said, &["server.s3.credentials", "127.0.0.1"]);
    nothing_is_left_running(&home, None);
}
