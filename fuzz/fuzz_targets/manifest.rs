#![no_main]

use libfuzzer_sys::fuzz_target;
use wukong_model::parsers;

fuzz_target!(|text: &str| parsers::manifest(text).unwrap());
