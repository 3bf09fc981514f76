//! `make soak`: containers come and go at random, with storms of execs, kills and restarts.
//! Every one has exactly one report, which says what its programs counted of themselves; and
//! nothing of us grows or stays.
//!
//! What happens is drawn from a seed, which is printed: how it interleaves is not.

mod inventory;
mod workload;

use crate::harness::{Dir, run};
use comfy_table::{CellAlignment, Table, presets};
use fastrand::Rng;
use inventory::{Inventory, Kernel};
use std::{
    collections::BTreeSet,
    env,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};
use workload::{Resident, Tally, live_and_end};

/// Containers that come and go at once, beside the one that stays.
const SIDE_BY_SIDE: usize = 3;

/// KiB by which the collector of a container that goes on executing may grow.
const GROWTH: usize = 4 << 10;

#[test]
fn root_a_short_soak_counts_right_and_leaves_nothing() {
    soak(Duration::from_secs(15));
}

#[test]
#[ignore = "takes as long as wanted: `make soak MINUTES=n` runs it"]
fn root_soak() {
    let minutes: f64 = env::var("MINUTES").map_or(10.0, |text| text.parse().expect("minutes"));
    soak(Duration::from_secs_f64(minutes * 60.0));
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    env::var("SEED").map_or(now.as_nanos() as u64, |text| text.parse().expect("SEED: a number"))
}

fn soak(length: Duration) {
    let seed = seed();
    println!("soak of {} s, SEED={seed}", length.as_secs());
    let dir = Dir::with_bpffs();
    dir.configure("[ring]\nsize = \"256KiB\"\npool = 2");
    let begun = Instant::now();
    let failed = AtomicBool::new(false);
    let is_over = || begun.elapsed() >= length || failed.load(Ordering::Relaxed);
    let mut kernel = Kernel::default();
    let mut rows = Vec::new();
    let (mut tally, mut wrong) = (Tally::default(), None);
    thread::scope(|scope| {
        let stays = scope.spawn(|| Resident::live(&dir, &is_over));
        let others: Vec<_> = (0..SIDE_BY_SIDE)
            .map(|n| {
                let (dir, is_over) = (&dir, &is_over);
                scope.spawn(move || come_and_go(dir, n, seed, is_over))
            })
            .collect();
        let workers = || !stays.is_finished() && others.iter().all(|other| !other.is_finished());
        // `gc` runs again and again, as from a timer, whatever else happens.
        let mut next_row = Duration::ZERO;
        while !stays.is_finished() || others.iter().any(|other| !other.is_finished()) {
            // Before the time is over, only what has gone wrong ends.
            let over = is_over();
            failed.fetch_or(!over && !workers(), Ordering::Relaxed);
            let swept = run(&mut dir.buildwarden(["gc"]));
            if swept.code != 0 {
                failed.store(true, Ordering::Relaxed);
                wrong.get_or_insert(swept);
            }
            let stock = kernel.take_stock(&dir);
            let flat = Resident::look(&dir);
            if workers() && begun.elapsed() >= next_row {
                rows.push((begun.elapsed(), stock, flat));
                next_row = begun.elapsed() + length / 10;
            }
            thread::sleep(Duration::from_millis(300));
        }
        for worker in others.into_iter().chain([stays]) {
            tally.add(worker.join().unwrap());
        }
    });
    let took = begun.elapsed();
    if let Some(swept) = wrong {
        panic!("gc: {swept}");
    }
    run(&mut dir.buildwarden(["gc"])).expect_code(0);
    expect_reports(&dir, &tally);
    print(&rows, &tally, took);
    expect_flat(&rows);
    expect_nothing_left(&dir, &mut kernel);
}

/// Containers, one after the other.
fn come_and_go(dir: &Dir, n: usize, seed: u64, is_over: &(dyn Fn() -> bool + Sync)) -> Tally {
    let mut rng = Rng::with_seed(seed.wrapping_add(n as u64));
    let mut tally = Tally::default();
    for count in 0.. {
        if is_over() {
            break;
        }
        tally.add(live_and_end(dir, &format!("soak-{n}-{count}"), &mut rng));
    }
    tally
}

/// Each run has a report, and there are no others.
#[track_caller]
fn expect_reports(dir: &Dir, tally: &Tally) {
    dir.expect_nothing_live();
    let on_record: BTreeSet<String> = dir.runs().into_iter().collect();
    let must: BTreeSet<String> = tally.names.iter().cloned().collect();
    let may: BTreeSet<String> = tally.may.iter().cloned().collect();
    let missing: Vec<_> = must.difference(&on_record).collect();
    assert!(missing.is_empty(), "no report: {missing:?}");
    for name in on_record.difference(&must) {
        assert!(may.contains(name), "a run that nobody started: {name}");
        // Refused by the runtime: on record with nothing executed.
        assert_eq!(dir.report(name).completeness.execs, 0, "{name}");
    }
}

type Row = (Duration, Inventory, Option<(usize, usize)>);

/// Neither the container that stays nor all together take more and more.
#[track_caller]
fn expect_flat(rows: &[Row]) {
    let (first, second) = rows.split_at(rows.len() / 2);
    let collector = |rows: &[Row]| {
        let each = || rows.iter().filter_map(|(_, _, flat)| *flat);
        (each().map(|(memory, _)| memory).max(), each().map(|(_, descriptors)| descriptors).max())
    };
    let (before, after) = (collector(first), collector(second));
    let grown = after.0.expect("it stays").saturating_sub(before.0.expect("it stays"));
    assert!(grown <= GROWTH, "the collector of the one that stays has grown by {grown} KiB");
    assert!(after.1 <= before.1, "its descriptors: {before:?}, then {after:?}");
    let peak = |rows: &[Row]| {
        rows.iter().fold(Inventory::default(), |peak, (_, stock, _)| peak.peak(stock))
    };
    let (first, second) = (peak(first), peak(second));
    // What is there at once is bounded by what runs at once.
    assert!(second.pins <= first.pins.max(1), "{first:?}, then {second:?}");
    let most = SIDE_BY_SIDE + 1;
    assert!(second.live <= most && second.cgroups <= most, "{first:?}, then {second:?}");
    // Its slots, what the pool holds, and one that is being made.
    assert!(second.rings <= 2 * most + 3, "{first:?}, then {second:?}");
    assert!(second.processes <= 4 * most, "{first:?}, then {second:?}");
}

#[track_caller]
fn expect_nothing_left(dir: &Dir, kernel: &mut Kernel) {
    crate::harness::until("the processes to end", || dir.processes().is_empty().then_some(()));
    let stock = kernel.take_stock(dir);
    let idle = Inventory { rings: stock.rings, pins: stock.pins, ..Inventory::default() };
    assert_eq!(stock, idle, "something of a container is left");
    run(&mut dir.buildwarden(["gc", "--unload"])).expect_code(0);
    assert_eq!(kernel.take_stock(dir), Inventory::default(), "something is left");
    kernel.expect_gone();
    let (maps, programs) = kernel.known();
    println!(
        "idle: {} rings, {} pins; after `gc --unload` none, and all {maps} maps and {programs} \
              programs that ever were are gone",
        stock.rings, stock.pins
    );
}

fn print(rows: &[Row], tally: &Tally, took: Duration) {
    let mut table = Table::new();
    let names = Inventory::COLUMNS.map(|(name, _)| name);
    let header = ["AFTER s"].into_iter().chain(names).chain(["its KiB", "its fds"]);
    table.load_preset(presets::NOTHING).set_header(header.map(str::to_uppercase));
    for (after, stock, flat) in rows {
        let mut row = vec![after.as_secs().to_string()];
        row.extend(Inventory::COLUMNS.map(|(_, read)| read(stock).to_string()));
        let (memory, descriptors) =
            flat.map_or_else(Default::default, |(m, d)| (m.to_string(), d.to_string()));
        row.extend([memory, descriptors]);
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{table}\n");
    println!(
        "{} containers in {:.0} s, {} runs, {} refused by the runtime as the hook was killed; {} \
         containers and {} collectors killed",
        tally.containers,
        took.as_secs_f64(),
        tally.runs,
        tally.refused,
        tally.killed,
        tally.collectors_killed,
    );
    println!(
        "{} execs and {} findings on record, as counted; {} execs lost, and told",
        tally.execs, tally.findings, tally.lost
    );
}
