use std::time::Duration;

use serde::Serialize;

use crate::cli::failure::Failure;
use crate::cli::output::{self, Output};

/// What one operation takes, of the plugin and of the native part.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    operation: String,
    /// Nanoseconds a call.
    plugin_ns: f64,
    native_ns: f64,
    /// The bytes of an object that cross in a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

impl Row {
    /// From the times of the plugin and of the native part, in nanoseconds.
    pub(super) fn new(operation: String, times: &[f64]) -> Self {
        let of = |side: usize| times.get(side).copied().unwrap_or(f64::NAN);
        Self { operation, plugin_ns: of(0), native_ns: of(1), bytes: None }
    }

    pub(super) fn with_bytes(self, bytes: usize) -> Self {
        Self { bytes: Some(bytes), ..self }
    }
}

/// What a plugin costs.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) plugin: String,
    pub(super) kind: &'static str,
    /// What it is compared with.
    pub(super) native: &'static str,
    pub(super) component_bytes: u64,
    /// From the file to the first instance, with nothing compiled before.
    pub(super) compiled_load_ms: f64,
    /// The same, with compiled code on disk.
    pub(super) load_ms: f64,
    /// The linear memory of an instance when it is fresh, and when all was measured.
    pub(super) fresh_memory_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) operations: Vec<Row>,
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl Report {
    pub(super) fn print(&self, output: &Output) -> Result<(), Failure> {
        if output.for_programs() {
            return output.document(self);
        }
        let facts = [
            ["component".to_owned(), output::size(self.component_bytes).to_string()],
            ["compile and start".into(), format!("{:.1} ms", self.compiled_load_ms)],
            ["start, compiled before".into(), format!("{:.1} ms", self.load_ms)],
            ["memory of an instance, fresh".into(), output::size(self.fresh_memory_bytes).to_string()],
            ["memory of an instance, in the end".into(), output::size(self.memory_bytes).to_string()],
        ];
        output.line(output::table(&[], facts))?;
        output.line("")?;
        let rows = self.operations.iter().map(|row| {
            let Row { operation, plugin_ns, native_ns, bytes } = row;
            let rate = |ns: f64| bytes.map_or(String::new(), |bytes| throughput(bytes as f64 / ns * 1e9));
            let ratio = format!("{:.1} x", plugin_ns / native_ns);
            [operation.clone(), span(*plugin_ns), span(*native_ns), ratio, rate(*plugin_ns), rate(*native_ns)]
        });
        let native = self.native.to_uppercase();
        let header = ["OPERATION", "PLUGIN", &native, "RATIO", "PLUGIN/S", "NATIVE/S"];
        output.line(output::table(&header, rows))
    }
}

/// Nanoseconds with three digits that count.
fn span(nanoseconds: f64) -> String {
    match nanoseconds {
        ..1e3 => format!("{nanoseconds:.0} ns"),
        ..1e6 => format!("{:.2} \u{b5}s", nanoseconds / 1e3),
        _ => format!("{:.2} ms", nanoseconds / 1e6),
    }
}

fn throughput(bytes: f64) -> String {
    output::size(bytes as u64).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::Audience;

    #[test]
    fn a_table_compares_the_plugin_with_the_native_part() {
        let report = Report {
            plugin: "p".into(),
            kind: "provider",
            native: "memory",
            component_bytes: 34 << 10,
            compiled_load_ms: 31.25,
            load_ms: 0.31,
            fresh_memory_bytes: 1 << 20,
            memory_bytes: 9 << 20,
            operations: vec![
                Row::new("store 4 KiB".into(), &[1_640.0, 102.0]).with_bytes(4096),
                Row::new("metadata".into(), &[1.5e6, 900.0]),
            ],
        };
        let (output, results, _) = Output::kept(Audience::People);
        report.print(&output).unwrap();
        let text = results.take();
        for line in ["store 4 KiB  1.64 \u{b5}s  102 ns  16.1 x", "metadata     1.50 ms  900 ns  1666.7 x"] {
            assert!(text.contains(line), "{text}");
        }
        let (output, results, _) = Output::kept(Audience::Programs);
        report.print(&output).unwrap();
        let json: serde_json::Value = serde_json::from_str(&results.take()).unwrap();
        assert_eq!(json["operations"][0]["plugin_ns"], 1_640.0);
    }
}
