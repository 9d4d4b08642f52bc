//! `kubectl wukong`: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_wukong::main()
}
