use super::*;

/// Hashes differ by secret; the tests show the secret instead.
fn check(argv: &[&str], want: &[&str], keep: &[&str]) {
    let argv: Vec<&[u8]> = argv.iter().map(|argument| argument.as_bytes()).collect();
    let places: Vec<Place> = keep
        .iter()
        .map(|text| {
            argv.iter()
                .enumerate()
                .find_map(|(argument, bytes)| {
                    let start = memchr::memmem::find(bytes, text.as_bytes())?;
                    Some(Place { argument, range: start..start + text.len() })
                })
                .unwrap_or_else(|| panic!("{text} is not in {argv:?}"))
        })
        .collect();
    let redacted = Redactor::new(b"salt").argv(argv[0], argv.iter().copied(), &places);
    let (got, kept) = match redacted {
        Some(redacted) => (redacted.argv, redacted.kept),
        None => (argv.iter().map(|argument| argument.to_vec()).collect(), places),
    };
    let shown: Vec<String> = got
        .iter()
        .map(|argument| {
            let mut text = String::from_utf8(argument.clone()).unwrap();
            while let Some(at) = text.find("[redacted:") {
                text.replace_range(at..at + "[redacted:xxxxxxxx]".len(), "###");
            }
            text
        })
        .collect();
    assert_eq!(shown, want, "{argv:?}");
    for (place, text) in kept.iter().zip(keep) {
        assert_eq!(&got[place.argument][place.range.clone()], text.as_bytes(), "{shown:?}");
    }
}

#[test]
fn secrets_are_replaced() {
    let cases: &[(&[&str], &[&str])] = &[
        // curl's options, however they are written
        (&["curl", "-u", "me:pw"], &["curl", "-u", "me:###"]),
        (&["curl", "-sSfLume:pw", "x"], &["curl", "-sSfLume:###", "x"]),
        (&["curl", "-sSu", "me:p:w"], &["curl", "-sSu", "me:###"]),
        (&["curl", "--user", "me:pw"], &["curl", "--user", "me:###"]),
        (&["curl", "--proxy-user=me:pw"], &["curl", "--proxy-user=me:###"]),
        (&["curl", "-u", "sk_abc:"], &["curl", "-u", "###:"]),
        (&["curl", "-b", "a=b; c=d"], &["curl", "-b", "###"]),
        (&["curl", "-b", "jar.txt"], &["curl", "-b", "jar.txt"]),
        (&["curl", "-E", "client.pem:pw"], &["curl", "-E", "client.pem:###"]),
        (&["curl", "--oauth2-bearer", "abc"], &["curl", "--oauth2-bearer", "###"]),
        (&["curl", "me:pw@8.8.8.8/x"], &["curl", "me:###@8.8.8.8/x"]),
        (&["/opt/curl", "-o", "u:v"], &["/opt/curl", "-o", "u:v"]),
        (&["curl", "-ou:v"], &["curl", "-ou:v"]),
        // other tools' options
        (&["wget", "--password=pw", "x"], &["wget", "--password=###", "x"]),
        (&["wget", "--http-password", "pw"], &["wget", "--http-password", "###"]),
        (&["wget", "--user=me", "x"], &["wget", "--user=me", "x"]),
        (&["busybox", "wget", "--password=pw"], &["busybox", "wget", "--password=###"]),
        (&["lftp", "-u", "me,pw", "h"], &["lftp", "-u", "me,###", "h"]),
        (&["sshpass", "-ppw", "ssh"], &["sshpass", "-p###", "ssh"]),
        (&["mysql", "-ppw", "-p", "db"], &["mysql", "-p###", "-p", "db"]),
        (
            &["docker", "login", "-u", "me", "-p", "pw"],
            &["docker", "login", "-u", "me", "-p", "###"],
        ),
        (
            &["docker", "run", "-p", "80:80", "--user", "1:1"],
            &["docker", "run", "-p", "80:80", "--user", "1:1"],
        ),
        (&["skopeo", "copy", "--src-creds", "me:pw"], &["skopeo", "copy", "--src-creds", "me:###"]),
        (
            &["any", "--api-key", "k", "--token-file", "f"],
            &["any", "--api-key", "###", "--token-file", "f"],
        ),
        (&["any", "--password-stdin", "x"], &["any", "--password-stdin", "x"]),
        (&["any", "--token", "--verbose"], &["any", "--token", "--verbose"]),
        // URLs
        (&["git", "clone", "https://me:pw@h/x"], &["git", "clone", "https://me:###@h/x"]),
        (&["any", "http://a:b@c:d@8.8.8.8/"], &["any", "http://a:###@8.8.8.8/"]),
        (&["any", "https://0123456789abcdef0123@h"], &["any", "https://###@h"]),
        (&["any", "ssh://git@h/x:y@z"], &["any", "ssh://git@h/x:y@z"]),
        (
            &["any", "https://h/x?access_token=abc&y=1"],
            &["any", "https://h/x?access_token=###&y=1"],
        ),
        // headers
        (
            &["curl", "-H", "Authorization: Bearer abc"],
            &["curl", "-H", "Authorization: Bearer ###"],
        ),
        (&["curl", "-HAUTHORIZATION:abc"], &["curl", "-HAUTHORIZATION:###"]),
        (
            &["curl", "-H", "Proxy-Authorization: Basic YTpi"],
            &["curl", "-H", "Proxy-Authorization: Basic ###"],
        ),
        (&["curl", "-H", "Cookie: a=b; c=d"], &["curl", "-H", "Cookie: ###"]),
        (&["curl", "-H", "PRIVATE-TOKEN: abc"], &["curl", "-H", "PRIVATE-TOKEN: ###"]),
        (&["wget", "--header=X-Api-Key: abc"], &["wget", "--header=X-Api-Key: ###"]),
        (&["curl", "-H", "Host: 8.8.8.8"], &["curl", "-H", "Host: 8.8.8.8"]),
        (
            &["curl", "-H", "Authorization: Bearer $TOKEN"],
            &["curl", "-H", "Authorization: Bearer $TOKEN"],
        ),
        (
            &["git", "-c", "http.extraheader=AUTHORIZATION: basic YTpi"],
            &["git", "-c", "http.extraheader=AUTHORIZATION: basic ###"],
        ),
        // assignments
        (&["env", "GITHUB_TOKEN=a b&c", "make"], &["env", "GITHUB_TOKEN=### b&c", "make"]),
        (&["env", "DB_PASSWORD=a&b", "make"], &["env", "DB_PASSWORD=###", "make"]),
        (&["env", "PWD=/root", "OLDPWD=/"], &["env", "PWD=/root", "OLDPWD=/"]),
        (
            &["any", "USE_TOKEN=true", "TOKEN=", "TOKEN=${X}"],
            &["any", "USE_TOKEN=true", "TOKEN=", "TOKEN=${X}"],
        ),
        (&["curl", "-d", "user=me&password=pw&x=1"], &["curl", "-d", "user=me&password=###&x=1"]),
        (
            &["curl", "-d", r#"{"password": "p\"w", "a":1}"#],
            &["curl", "-d", r####"{"password": "###", "a":1}"####],
        ),
        (
            &["npm", "config", "set", "//r/:_authToken=abc"],
            &["npm", "config", "set", "//r/:_authToken=###"],
        ),
        // tokens
        (&["any", "ghp_0123456789abcdefghij"], &["any", "###"]),
        (&["any", "x=glpat-0123456789abcdef-_"], &["any", "x=###"]),
        (&["any", "AKIA0123456789ABCDEF"], &["any", "###"]),
        (&["any", "sk-proj-0123456789abcdefghij"], &["any", "###"]),
        (&["any", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"], &["any", "###"]),
        (
            &["any", "eyJhbGciOiJIUzI1NiJ9", "task-012345678901234567890"],
            &["any", "eyJhbGciOiJIUzI1NiJ9", "task-012345678901234567890"],
        ),
        (&["any", "npm_config_registry=https://h/"], &["any", "npm_config_registry=https://h/"]),
        // what looks random where a secret may stand
        (&["curl", "-H", "X-Custom: q8Zk2LmX0vB7nR4tY1cD"], &["curl", "-H", "X-Custom: ###"]),
        (&["wget", "--header=X-Custom:q8Zk2LmX0vB7nR4tY1cD"], &["wget", "--header=X-Custom:###"]),
        (&["any", "--key", "q8Zk2LmX0vB7nR4tY1cD"], &["any", "--key", "###"]),
        (&["any", "--key=id_rsa"], &["any", "--key=id_rsa"]),
        (
            &["docker", "build", "--build-arg", "X=q8Zk2LmX0vB7nR4tY1cD", "."],
            &["docker", "build", "--build-arg", "X=###", "."],
        ),
        (&["podman", "run", "-e", "X=q8Zk2LmX0vB7nR4tY1cD"], &["podman", "run", "-e", "X=###"]),
        (
            &["docker", "build", "--build-arg", "COMMIT_SHA=q8Zk2LmX0vB7nR4tY1cD"],
            &["docker", "build", "--build-arg", "COMMIT_SHA=q8Zk2LmX0vB7nR4tY1cD"],
        ),
        (
            &["docker", "run", "-e", "DEBUG=1", "--env=HOME=/root/x"],
            &["docker", "run", "-e", "DEBUG=1", "--env=HOME=/root/x"],
        ),
        (
            &["any", "--session", "--password", "hunter2"],
            &["any", "--session", "--password", "###"],
        ),
        (
            &["x", "--env", "curl", "-u", "me:pw", "http://h/"],
            &["x", "--env", "curl", "-u", "me:###", "http://h/"],
        ),
        (&["sh", "-c", "x --set curl -u me:pw h"], &["sh", "-c", "x --set curl -u me:### h"]),
        (&["curl", "-o", "q8Zk2LmX0vB7nR4tY1cD"], &["curl", "-o", "q8Zk2LmX0vB7nR4tY1cD"]),
        // a command line in an argument
        (
            &["sh", "-c", "curl -u me:pw http://8.8.8.8/"],
            &["sh", "-c", "curl -u me:### http://8.8.8.8/"],
        ),
        (&["sh", "-c", "curl -su 'me:p w' x"], &["sh", "-c", "curl -su 'me:###' x"]),
        (
            &["sh", "-c", "TOKEN=abc curl http://8.8.8.8/"],
            &["sh", "-c", "TOKEN=### curl http://8.8.8.8/"],
        ),
        (
            &["sh", "-c", "curl -H \"Authorization: token abc\" 8.8.8.8"],
            &["sh", "-c", "curl -H \"Authorization: token ###\" 8.8.8.8"],
        ),
        (
            &["sh", "-c", "echo x; docker login -p pw r"],
            &["sh", "-c", "echo x; docker login -p ### r"],
        ),
    ];
    for (argv, want) in cases {
        check(argv, want, &[]);
    }
}

#[test]
fn an_address_is_never_redacted_away() {
    check(&["curl", "http://u:p@8.8.8.8/"], &["curl", "http://u:###@8.8.8.8/"], &["8.8.8.8"]);
    check(
        &["curl", "-H", "Cookie: a=b; next=8.8.8.8; c=d", "-u", "me:pw", "1.1.1.1"],
        &["curl", "-H", "Cookie: ###8.8.8.8###", "-u", "me:###", "1.1.1.1"],
        &["1.1.1.1", "8.8.8.8"],
    );
    check(
        &["curl", "-d", "token=9.9.9.9&secret=8.8.8.8", "ghp_0123456789abcdefghij"],
        &["curl", "-d", "token=9.9.9.9&secret=8.8.8.8", "###"],
        &["8.8.8.8", "9.9.9.9"],
    );
    // Overlapping and nested places, and one twice.
    check(
        &["curl", "-b", "a=1.2.3.4.5"],
        &["curl", "-b", "###1.2.3.4.5"],
        &["1.2.3.4", "2.3.4.5", "2.3", "1.2.3.4"],
    );
}

#[test]
fn equal_secrets_are_equal_and_the_salt_counts() {
    let argv = [&b"curl"[..], b"-u", b"a:pw", b"-u", b"b:pw", b"-u", b"c:other"];
    let redact = |salt: &[u8]| Redactor::new(salt).argv(b"curl", argv, &[]).unwrap().argv;
    let first = redact(b"1");
    assert_eq!(first[2][2..], first[4][2..]);
    assert_ne!(first[2][2..], first[6][2..]);
    assert_ne!(first[2], redact(b"2")[2]);
}

fn cpu_time() -> std::time::Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("this thread's clock").into()
}

#[test]
fn hostile_arguments_take_linear_time_and_no_panic() {
    let size = 256 << 10;
    for unit in [
        "=",
        ":",
        "://",
        "@",
        "token=",
        "\"token\":",
        "-u",
        "eyJ",
        "eyJ-",
        "eyJ.",
        "sk-",
        "a:",
        " ",
        "'",
        "\" ",
        "Authorization: ",
        "Authorization:\"",
        "http://a:",
        "password=\"",
        "curl -u ",
        "SG.",
        "\\",
        "xoxb-0123456789 ",
        "x-token:$",
        "token=$",
        "token=id=",
        "http://$:a@",
        "Authorization: a ",
        "--key aB1",
        "-H a:b",
    ] {
        let argument = unit.repeat(size / unit.len());
        let argv = [b"curl".as_slice(), argument.as_bytes(), b"-u", argument.as_bytes()];
        let keep: Vec<Place> = (0..1000)
            .map(|i| Place { argument: i % 6, range: i * 250..i * 250 + (i % 7) * 100 })
            .collect();
        let start = cpu_time();
        Redactor::new(b"").argv(b"curl", argv, &keep);
        // Of CPU time, which a busy machine does not change much; quadratic would be hours.
        let took = cpu_time() - start;
        assert!(took.as_secs() < 10, "{unit:?}: {took:?}");
    }
}
