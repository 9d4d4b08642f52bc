fn main() -> std::process::ExitCode {
    wukong_lab::cli::main()
}
