//! The `gantry` binary: the operator and its tools.

fn main() {
    for definition in gantry::api::crds::all() {
        match gantry::api::crds::to_yaml(&definition) {
            Ok(yaml) => println!("---\n{yaml}"),
            Err(error) => eprintln!("{error}"),
        }
    }
}
