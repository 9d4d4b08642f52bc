//! `cargo lab model`: searches the histories of small clusters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use wukong_model::mistake::Mistake;
use wukong_model::schema::{self, SPEC};
use wukong_model::search::{Broken, Found, Limits, search};
use wukong_model::world::{self, World};
use wukong_model::{paths, shapes, texts};

/// Search all orders of events in small clusters for one that breaks a promise of the operator.
///
/// The decisions are those of the operator itself; KubeVirt, CDI and the other controllers are simulated. Each world
/// begins with some objects; then users, controllers, the garbage collector, the watches, two replicas of the operator and
/// faults act in any order.
#[derive(Parser)]
#[command(
    name = "cargo lab model",
    bin_name = "cargo lab model",
    max_term_width = 120
)]
struct Args {
    /// Distinct states to check in each world.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    states: usize,
    /// Longest history, in actions.
    #[arg(long, value_name = "N")]
    depth: Option<usize>,
    /// Minutes to search each world for.
    #[arg(long, value_name = "M")]
    minutes: Option<u64>,
    /// Only worlds with this text in their names.
    #[arg(long, value_name = "TEXT")]
    world: Option<String>,
    /// Threads that search.
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Show that deliberate mistakes in the decisions are found.
    #[arg(long)]
    mutations: bool,
    /// Instead, follow N histories of edits that are generated from the schema, and compare each end with a fresh start.
    #[arg(long, value_name = "N", conflicts_with = "mutations")]
    paths: Option<u64>,
    /// Instead, decide about N objects that are generated from the schema.
    #[arg(long, value_name = "N", conflicts_with_all = ["mutations", "paths"])]
    shapes: Option<u64>,
    /// Instead, parse N recorded texts of other programs with random changes.
    #[arg(long, value_name = "N", conflicts_with_all = ["mutations", "paths", "shapes"])]
    texts: Option<u64>,
    /// The first seed of histories, objects and texts.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Only the mistakes with this text in their names.
    #[arg(long, value_name = "TEXT", requires = "mutations")]
    mistake: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let well = if args.mutations {
        mutations(&args)
    } else if let Some(count) = args.paths {
        follow_paths(args.seed..args.seed + count, args.threads)
    } else if let Some(count) = args.shapes {
        check_shapes(args.seed..args.seed + count)
    } else if let Some(count) = args.texts {
        check_texts(args.seed..args.seed + count)
    } else {
        worlds(&args)
    };
    match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn limits(args: &Args) -> Limits {
    Limits {
        states: args.states,
        depth: args.depth,
        time: args
            .minutes
            .map(|minutes| Duration::from_secs(60 * minutes)),
        threads: args.threads.max(1),
    }
}

fn chosen(args: &Args) -> Vec<World> {
    let chosen = |name: &str| args.world.as_ref().is_none_or(|part| name.contains(part));
    let worlds = world::all().into_iter();
    worlds.filter(|world| chosen(world.name)).collect()
}

/// Searches each world. Returns whether every promise was kept.
fn worlds(args: &Args) -> bool {
    let mut all = Vec::new();
    for world in chosen(args) {
        let name = world.name;
        let mut last = 0;
        let found = search(world, None, limits(args), |states, depth| {
            if states >= last + 100_000 {
                last = states;
                eprintln!("{name}: {states} states, histories of up to {depth} actions");
            }
        });
        println!("{name}: {}", summary(&found));
        found.broken.iter().for_each(report);
        all.push(found);
    }
    let states: usize = all.iter().map(|found| found.states).sum();
    let seconds: f64 = all.iter().map(|found| found.time.as_secs_f64()).sum();
    let broken: usize = all.iter().map(|found| found.broken.len()).sum();
    println!(
        "\n{} worlds: {states} distinct states in {seconds:.0} s, {:.0} in a second; {}",
        all.len(),
        states as f64 / seconds.max(0.001),
        match broken {
            0 => "every promise is kept in each of them".to_owned(),
            broken => format!("{broken} promises are broken"),
        }
    );
    broken == 0
}

fn summary(found: &Found) -> String {
    let parts: Vec<String> = found
        .parts
        .iter()
        .map(|(part, number)| format!("{number} {part}"))
        .collect();
    format!(
        "{} distinct states, histories of up to {} actions, {:.1} s ({}){}",
        found.states,
        found.depth,
        found.time.as_secs_f64(),
        parts.join(", "),
        if found.complete { ": complete" } else { "" },
    )
}

fn report(broken: &Broken) {
    println!("  BROKEN: {}", broken.property);
    for (number, step) in broken.history.iter().enumerate() {
        println!("  {:>4}. {step}", number + 1);
    }
    for line in broken.complaint.lines() {
        println!("  {line}");
    }
}

/// Searches for each mistake. Returns whether all were found.
fn mutations(args: &Args) -> bool {
    let mut survivors = 0;
    let chosen_mistakes = Mistake::ALL.into_iter().filter(|mistake| {
        let name = format!("{mistake:?}");
        args.mistake.as_ref().is_none_or(|part| name.contains(part))
    });
    for mistake in chosen_mistakes {
        let found = chosen(args).into_iter().find_map(|world| {
            let name = world.name;
            let found = search(world, Some(mistake), limits(args), |_, _| {});
            let broken = found.broken.into_iter().next()?;
            Some((name, found.states, broken))
        });
        let description = mistake.description();
        match found {
            Some((world, states, broken)) => println!(
                "found: {description}: \"{}\" ({world}, {} actions, {states} states)",
                broken.property,
                broken.history.len(),
            ),
            None => {
                survivors += 1;
                println!("SURVIVES: {description} ({mistake:?})");
            }
        }
    }
    match survivors {
        0 => println!("\nevery mistake is found"),
        survivors => println!("\n{survivors} mistakes survive"),
    }
    survivors == 0
}

/// Follows histories of edits. Returns whether all end where a fresh start ends.
fn follow_paths(seeds: Range<u64>, threads: usize) -> bool {
    let start = Instant::now();
    let count = seeds.end - seeds.start;
    let share = count.div_ceil(threads.max(1) as u64).max(1);
    let parts = (seeds.start..seeds.end).step_by(usize::try_from(share).unwrap_or(usize::MAX));
    let walks = parts.map(|from| from..(from + share).min(seeds.end));
    let results: Vec<(BTreeSet<String>, u64)> = std::thread::scope(|scope| {
        let walk = |part: Range<u64>| scope.spawn(move || follow(part));
        let handles: Vec<_> = walks.map(walk).collect();
        let joined = handles.into_iter().filter_map(|handle| handle.join().ok());
        joined.collect()
    });
    let elsewhere: u64 = results.iter().map(|(_, elsewhere)| elsewhere).sum();
    let fields: BTreeSet<&String> = results.iter().flat_map(|(fields, _)| fields).collect();
    let mut known = Vec::new();
    schema::paths(&SPEC, "", &mut known);
    println!(
        "{count} histories of edits in {:.0} s, with {} of {} fields edited; {}",
        start.elapsed().as_secs_f64(),
        known.iter().filter(|field| fields.contains(field)).count(),
        known.len(),
        match elsewhere {
            0 => "each ends where a fresh start with the last spec ends".to_owned(),
            elsewhere => format!("{elsewhere} end elsewhere"),
        }
    );
    elsewhere == 0
}

fn follow(seeds: Range<u64>) -> (BTreeSet<String>, u64) {
    let mut fields = BTreeSet::new();
    let mut elsewhere = 0;
    for seed in seeds {
        if seed % 1000 == 0 {
            eprintln!("seed {seed}");
        }
        match paths::walk(seed) {
            Ok(edited) => fields.extend(edited),
            Err(detour) => {
                elsewhere += 1;
                println!("ELSEWHERE: repeat with --paths 1 --seed {seed}");
                for spec in &detour.specs {
                    println!("  {spec}");
                }
                println!("  {}", detour.complaint);
            }
        }
    }
    (fields, elsewhere)
}

/// Decides about generated objects. Returns whether nothing was wrong.
fn check_shapes(seeds: Range<u64>) -> bool {
    let start = Instant::now();
    let count = seeds.end - seeds.start;
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut wrong = 0;
    for seed in seeds {
        match shapes::check(seed) {
            Ok(outcome) => {
                *outcomes
                    .entry(format!("{outcome:?}").to_lowercase())
                    .or_default() += 1
            }
            Err(complaint) => {
                wrong += 1;
                println!("WRONG: repeat with --shapes 1 --seed {seed}: {complaint}");
            }
        }
    }
    let outcomes: Vec<String> = outcomes
        .iter()
        .map(|(it, count)| format!("{count} {it}"))
        .collect();
    println!(
        "{count} generated objects in {:.0} s ({}); {}",
        start.elapsed().as_secs_f64(),
        outcomes.join(", "),
        match wrong {
            0 => "nothing is wrong with any decision".to_owned(),
            wrong => format!("{wrong} decisions are wrong"),
        }
    );
    wrong == 0
}

/// Parses changed texts. Returns whether nothing was wrong.
fn check_texts(seeds: Range<u64>) -> bool {
    let start = Instant::now();
    let count = seeds.end - seeds.start;
    let mut wrong = 0;
    for seed in seeds {
        if let Err(complaint) = texts::check(seed) {
            wrong += 1;
            println!("WRONG: repeat with --texts 1 --seed {seed}: {complaint}");
        }
    }
    println!(
        "{count} texts, changed from {} recorded ones, in {:.0} s; {}",
        texts::recorded(),
        start.elapsed().as_secs_f64(),
        match wrong {
            0 => "no parser panics, and every result is bounded".to_owned(),
            wrong => format!("{wrong} are not parsed well"),
        }
    );
    wrong == 0
}
