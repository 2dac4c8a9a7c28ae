use schemars::generate::SchemaSettings;

use super::Config;

impl Config {
    /// The JSON Schema (draft 7, which YAML language servers know best) of the configuration, pretty-printed.
    pub fn json_schema() -> String {
        let schema = SchemaSettings::draft07().for_deserialize().into_generator().into_root_schema_for::<Self>();
        format!("{:#}\n", schema.to_value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/larder.schema.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        if std::env::var_os("LARDER_UPDATE_SCHEMA").is_some() {
            std::fs::write(path, Config::json_schema()).unwrap();
        } else {
            assert!(
                committed == Config::json_schema(),
                "config/larder.schema.json is stale; run this test with LARDER_UPDATE_SCHEMA=1 to write it anew"
            );
        }
    }
}
