use std::io::{Cursor, Write};

use proptest::prelude::*;

use super::*;

fn parse_with(bytes: &[u8], format: Format, options: &TraceOptions) -> Result<Trace, String> {
    let parsed = Trace::parse(&mut Cursor::new(bytes), format, options);
    parsed.map_err(|fault| TraceError { path: "t".into(), fault }.to_string())
}

fn parse(bytes: impl AsRef<[u8]>, format: Format) -> Result<Trace, String> {
    parse_with(bytes.as_ref(), format, &TraceOptions::default())
}

fn keys(trace: &Trace) -> Vec<u32> {
    trace.requests().map(|request| request.key).collect()
}

fn requests(trace: &Trace) -> Vec<(u32, u64)> {
    trace.requests().map(|Request { key, size }| (key, size)).collect()
}

fn refused(bytes: impl AsRef<[u8]>, format: Format, says: &str) {
    let error = parse(bytes, format).unwrap_err();
    assert!(error.contains(says), "{error}");
}

#[test]
fn keys_get_numbers_in_the_order_in_which_they_come() {
    let big = [7_u32, 1 << 31, 7, 0].map(u32::to_be_bytes).concat();
    assert_eq!(keys(&parse(big, Format::U32Be).unwrap()), [0, 1, 0, 2]);
    let big = [7_u64, 1 << 63, 7, 0].map(u64::to_be_bytes).concat();
    assert_eq!(keys(&parse(big, Format::U64Be).unwrap()), [0, 1, 0, 2]);
    let text = "a\nb c\n\na\r\n\u{e9}\nlast";
    assert_eq!(keys(&parse(text, Format::Text).unwrap()), [0, 1, 0, 2, 3]);
    assert_eq!(keys(&parse(b"a\n\xff\xfe\na\n", Format::Text).unwrap()), [0, 1, 0]);
    assert_eq!(keys(&parse("*\n5\n 6 \n5\n*\n", Format::Lirs).unwrap()), [0, 1, 0]);
    assert_eq!(keys(&parse("10 3 0 0\n11 1 0 1\n", Format::Arc).unwrap()), [0, 1, 2, 1]);
}

#[test]
fn a_trace_knows_what_it_comes_to() {
    let trace = parse("a,100\nb,50\na,100\na,30\n", Format::Csv);
    assert!(trace.unwrap_err().contains("t:1: which column holds the key?"));
    let columns: Columns = "key=1,size=2".parse().unwrap();
    let options = TraceOptions { columns, ..TraceOptions::default() };
    let trace = parse_with(b"a,100\nb,50\na,100\na,30\n", Format::Csv, &options).unwrap();
    assert_eq!((trace.len(), trace.distinct()), (4, 2));
    assert_eq!((trace.bytes(), trace.distinct_bytes()), (280, 150));
    assert_eq!((trace.ceiling(), trace.byte_ceiling()), (0.5, 1.0 - 150.0 / 280.0));

    let plain = TraceOptions { ignore_sizes: true, ..options.clone() };
    let trace = parse_with(b"a,100\nb,50\na,100\na,30\n", Format::Csv, &plain).unwrap();
    assert_eq!((trace.has_sizes(), trace.bytes(), trace.distinct_bytes()), (false, 4, 2));

    let short = TraceOptions { limit: Some(2), ..options };
    assert_eq!(parse_with(b"a,100\nb,50\na,100\na,30\n", Format::Csv, &short).unwrap().len(), 2);
    let short = TraceOptions { limit: Some(2), ..TraceOptions::default() };
    assert_eq!(parse_with(b"10 300 0 0\n", Format::Arc, &short).unwrap().len(), 2);
}

#[test]
fn oracle_general_has_sizes_and_little_endian_numbers() {
    let record = |key: u64, size: u32| {
        let mut record = 9_u32.to_le_bytes().to_vec();
        record.extend(key.to_le_bytes());
        record.extend(size.to_le_bytes());
        record.extend((-2_i64).to_le_bytes());
        record
    };
    let bytes = [record(1 << 40, 4096), record(2, 0), record(1 << 40, 8192)].concat();
    assert_eq!(requests(&parse(bytes, Format::OracleGeneral).unwrap()), [(0, 4096), (1, 0), (0, 8192)]);
}

#[test]
fn a_header_says_where_keys_and_sizes_are() {
    for (text, expected) in [
        ("time,id,size\n1,a,10\n2,b,20\n3,a,10\n", [(0, 10), (1, 20), (0, 10)]),
        ("Size;URL\n10;a\n20;b\n10;a\n", [(0, 10), (1, 20), (0, 10)]),
        ("ts\tobj_id\n1\ta\n2\tb\n3\ta\n", [(0, 1), (1, 1), (0, 1)]),
        ("key\na\nb\na\n", [(0, 1), (1, 1), (0, 1)]),
        ("a\nb\na\n", [(0, 1), (1, 1), (0, 1)]),
        ("id,size\n\"a,\"\"1\",5\nb,6\n\"a,\"\"1\",5\n", [(0, 5), (1, 6), (0, 5)]),
    ] {
        assert_eq!(requests(&parse(text, Format::Csv).unwrap()), expected, "{text}");
    }
    for columns in ["key=who,size=3", "key=2,size=3", "key=Who,size=much"] {
        let options = TraceOptions { columns: columns.parse().unwrap(), ..TraceOptions::default() };
        let trace = parse_with(b"when,who,much\n1,a,10\n2,b,20\n", Format::Csv, &options).unwrap();
        assert_eq!(requests(&trace), [(0, 10), (1, 20)], "{columns}");
    }
}

#[test]
fn what_is_no_request_is_refused_with_its_place() {
    refused("", Format::U32Be, "t: there is no request in it");
    refused("\n\n", Format::Text, "no request");
    refused("*\n", Format::Lirs, "no request");
    refused("key,size\n", Format::Csv, "no request");
    refused([0; 10], Format::U32Be, "t: at byte 8 stand the last 2 bytes, and a record of u32be has 4");
    refused([0; 23], Format::OracleGeneral, "at byte 0 stand the last 23 bytes, and a record of oracle-general has 24");
    refused("1\n2\nthree\n", Format::Lirs, "t:3: \u{2018}three\u{2019} is no block number");
    refused("1 2 3\n", Format::Arc, "t:1: \u{2018}1 2 3\u{2019} is not \u{2018}start count ignored request\u{2019}");
    refused("0 18446744073709551615 0 0\n", Format::Arc, "t:1: 18446744073709551615 blocks from 0 on");
    refused("18446744073709551615 2 0 0\n", Format::Arc, "t:1: 2 blocks from 18446744073709551615 on");
    refused("id,size\na,10\nb,ten\n", Format::Csv, "t:3: \u{2018}ten\u{2019} in column 2 is no size");
    refused("id,size\na\n", Format::Csv, "t:2: there is no column 2, but 1");
    refused("when,much\n1,2\n", Format::Csv, "t:1: which column holds the key?");
    refused("time,much\n1,2\n", Format::Csv, "there are \u{2018}time\u{2019}, \u{2018}much\u{2019}");
    refused(vec![b'x'; 100_000], Format::Text, "t:1: a line of more than 65536 bytes; this is no text");
    let options = TraceOptions { columns: "key=url".parse().unwrap(), ..TraceOptions::default() };
    let error = parse_with(b"a", Format::Text, &options).unwrap_err();
    assert_eq!(error, "t: it is read as text, and columns are those of csv");
    let error = parse_with(b"a,b\n1,2\n", Format::Csv, &options).unwrap_err();
    assert!(error.contains("there is no column \"url\"; there are \u{2018}a\u{2019}, \u{2018}b\u{2019}"), "{error}");
}

/// A file with these bytes.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn compressed(name: &str, bytes: &[u8]) -> Vec<u8> {
    match name {
        "xz" => {
            let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        "gz" => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap()
        }
        _ => zstd::encode_all(bytes, 3).unwrap(),
    }
}

#[test]
fn a_compressed_file_is_read_whatever_its_name_and_so_are_two_in_a_row() {
    for name in ["xz", "zst", "gz"] {
        let bytes = [compressed(name, b"a\nb\n"), compressed(name, b"a\n")].concat();
        for file_name in [format!("t.txt.{name}"), "t.txt".to_owned()] {
            let (_folder, path) = file(&file_name, &bytes);
            let mut read = 0;
            let trace = Trace::read(&path, &TraceOptions::default(), |count| read += count).unwrap();
            assert_eq!(keys(&trace), [0, 1, 0], "{file_name}");
            assert_eq!(read, bytes.len() as u64);
        }
        let (_folder, path) = file(&format!("t.txt.{name}"), &bytes[..bytes.len() - 3]);
        let error = Trace::read(&path, &TraceOptions::default(), |_| {}).unwrap_err().to_string();
        assert!(error.starts_with("can not read"), "{error}");
        let (_folder, path) = file(&format!("t.txt.{name}"), b"a\nb\n");
        let error = Trace::read(&path, &TraceOptions::default(), |_| {}).unwrap_err().to_string();
        assert!(error.contains(&format!("its name ends with .{name}, and what is in it is no")), "{error}");
    }
}

#[test]
fn a_file_that_can_not_be_read_is_an_error_that_says_what_would_mend_it() {
    let (folder, path) = file("web12.trace", b"1234");
    let error = Trace::read(&path, &TraceOptions::default(), |_| {}).unwrap_err();
    assert!(error.to_string().ends_with("web12.trace: the name does not say in which format the trace is"));
    assert_eq!(error.hint().unwrap(), "--format says it: u32be, u64be, text, csv, oracle-general, lirs, arc");
    let error = Trace::read(&folder.path().join("none.csv"), &TraceOptions::default(), |_| {}).unwrap_err();
    assert!(error.is_not_found());
    assert!(error.to_string().starts_with("there is no file"));
    let options = TraceOptions { format: Some(Format::Text), ..TraceOptions::default() };
    let error = Trace::read(folder.path(), &options, |_| {}).unwrap_err().to_string();
    assert!(error.contains("is a directory"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_break_a_parser(bytes in prop::collection::vec(any::<u8>(), 0..200), format in 0_usize..7) {
        let options = TraceOptions { limit: Some(1000), ..TraceOptions::default() };
        if let Ok(trace) = parse_with(&bytes, Format::ALL[format], &options) {
            prop_assert!((1..=1000).contains(&trace.len()));
            prop_assert!(trace.distinct() <= trace.len());
            prop_assert!(trace.requests().all(|request| u64::from(request.key) < trace.distinct()));
        }
    }

    #[test]
    fn no_text_breaks_a_parser_of_lines(text in "[0-9 ,*\"\n\r\tkeysize]{0,200}", format in 2_usize..7) {
        let options = TraceOptions { limit: Some(1000), ..TraceOptions::default() };
        let _ = parse_with(text.as_bytes(), Format::ALL[format], &options);
    }

    #[test]
    fn no_bytes_break_a_decompressor(
        magic in prop::sample::select(vec![&b"\xfd7zXZ\0"[..], b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08"]),
        bytes in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let (_folder, path) = file("t.u32be", &[magic, &bytes].concat());
        let _ = Trace::read(&path, &TraceOptions { limit: Some(1000), ..TraceOptions::default() }, |_| {});
    }

    #[test]
    fn binary_keys_read_back(keys in prop::collection::vec(any::<u64>(), 1..100)) {
        let bytes: Vec<u8> = keys.iter().flat_map(|key| key.to_be_bytes()).collect();
        let trace = parse(bytes, Format::U64Be).unwrap();
        let mut first = Vec::new();
        for (request, key) in trace.requests().zip(&keys) {
            if request.key as usize == first.len() {
                first.push(*key);
            }
            prop_assert_eq!(first[request.key as usize], *key);
        }
    }
}
