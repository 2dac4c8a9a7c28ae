//! Real clients of S3.

use super::*;

#[test]
fn a_real_s3_client_finds_what_it_expects() {
    if !client(&["python3", "-c", "import boto3"]) {
        return skipped("python3 has no boto3, so no S3 client was tried: pip install boto3");
    }
    let component = |name| built_component(name).display().to_string();
    let home = Home::new(&format!(
        "{DOORS}\
plugins:
  versions:
    path: {}
    grants: {{ stores: {{ current: versions-current, history: versions-history }} }}
    limits: {{ instances: 4 }}
  wasm-memory: {{ path: {}, limits: {{ memory: 256MiB }} }}
stores:
  on-files: {{ provider_type: file, cache: {{ size_limit: 16MiB }} }}
  in-memory: {{ provider_type: memory }}
  in-versions: {{ provider_type: versions, cache: {{ size_limit: 1MiB, eviction_policy: lru }} }}
  versions-current: {{ provider_type: file, internal: true }}
  versions-history: {{ provider_type: file }}
  in-wasm: {{ provider_type: wasm-memory }}
new_buckets: {{ provider_type: file }}
",
        component("versions"),
        component("memory"),
    ));
    let host = home.serve();
    let mut reports = Vec::new();
    for (number, bucket) in ["on-files", "in-memory", "in-versions", "in-wasm"].into_iter().enumerate() {
        let output = Command::new("python3")
            .arg(project().join("tests/s3/conformance.py"))
            .env("LARDER_S3_ENDPOINT", format!("http://{}", host.s3))
            .env("LARDER_S3_ACCESS_KEY", ACCESS_KEY)
            .env("LARDER_S3_SECRET_KEY", SECRET_KEY)
            .env("LARDER_S3_BUCKET", bucket)
            .env("LARDER_S3_CREATES", if number == 0 { "1" } else { "0" })
            .output()
            .unwrap();
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            reports.push(format!("{bucket}:\n{words}"));
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n"));
}

/// Makes a folder of 3,000 small files, nested and with names in several scripts, and a large one.
fn make_tree(root: &Path) {
    let folders = ["plain", "a/b/c", "with blank/and, more", "Grüße/Zoë", "日本語/資料", "per%cent/plus+sign"];
    for folder in folders {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for number in 0..3000usize {
        let folder = root.join(folders[number % folders.len()]);
        fs::write(folder.join(format!("ü {number}.bin")), noise(number as u64, number % 700)).unwrap();
    }
    fs::write(root.join("large.bin"), noise(9, 20 << 20)).unwrap();
}

/// Breaks the test unless two folders hold the same.
fn same(one: &Path, other: &Path) {
    let output = Command::new("diff").arg("-r").args([one, other]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let files = |folder: &Path| -> usize {
        let listed = Command::new("find").arg(folder).args(["-type", "f"]).output().unwrap();
        listed.stdout.iter().filter(|byte| **byte == b'\n').count()
    };
    assert_eq!((files(one), files(other)), (3001, 3001));
}

#[test]
fn a_folder_of_thousands_of_files_comes_back_equal() {
    let home =
        Home::new(&format!("{DOORS}stores:\n  documents: {{ provider_type: file, cache: {{ size_limit: 16MiB }} }}\n"));
    make_tree(&home.path("tree"));
    let host = home.serve();
    // In through the host and out of it; then once more without one.
    home.succeed(&["cp", "-r", "tree", "larder://documents/by-command"]);
    home.succeed(&["cp", "-r", "larder://documents/by-command", "out-of-host"]);
    same(&home.path("tree"), &home.path("out-of-host"));

    if client(&["aws", "--version"]) {
        let aws = |arguments: &[&str]| {
            let mut command = Command::new("aws");
            command.args(["--endpoint-url", &format!("http://{}", host.s3), "s3", "cp", "--recursive", "--quiet"]);
            command.args(arguments).current_dir(home.path(""));
            command.env("AWS_ACCESS_KEY_ID", ACCESS_KEY).env("AWS_SECRET_ACCESS_KEY", SECRET_KEY);
            command.env("AWS_DEFAULT_REGION", "us-east-1").env("AWS_EC2_METADATA_DISABLED", "true");
            command.env("AWS_CONFIG_FILE", home.path("none")).env("AWS_SHARED_CREDENTIALS_FILE", home.path("none"));
            let output = command.env("PYTHONUTF8", "1").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        aws(&["tree", "s3://documents/by-aws"]);
        aws(&["s3://documents/by-aws", "out-by-aws"]);
        same(&home.path("tree"), &home.path("out-by-aws"));
    } else {
        skipped("there is no aws, so no folder went through S3: pip install awscli");
    }

    let (status, log) = host.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    home.succeed(&["cp", "-r", "larder://documents/by-command", "out-alone"]);
    same(&home.path("tree"), &home.path("out-alone"));
}
