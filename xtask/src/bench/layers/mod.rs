//! `cargo xtask bench layers`: every planner on real updates and on a real fleet, written into `docs/layering.md`.
//!
//! Nothing is packed: the release build of floe plans, and each store path is compressed once, alone, to know its size.
//! A layer counts as the sum of its paths. So the figures say what planning costs, and nothing else.

mod histories;

mod planner;

mod sizes;

mod figures;

mod page;

use anyhow::Result;
use floe_testkit::debian;

use self::figures::{Fleet, Row};
use self::histories::Histories;
use self::planner::{BUDGET, Planner, Planning};
use self::sizes::Sizes;
use crate::demo::release_binary;
use crate::install;
use crate::steps::{Steps, cargo, stream};

/// The budgets that the fleet is planned with.
const BUDGETS: [usize; 3] = [30, 60, 100];

/// Builds the versions, plans them in every way, writes the page.
pub(crate) fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("install what is missing", install::run)?;
    steps
        .step("build floe", || stream(&mut cargo(["build", "--release", "--package", "floe", "--locked"])))?;
    let developer = steps.step("build the developer's closure", || Ok(debian::developer_closure()?))?;
    let histories = steps.step("build every version", || Histories::build(&developer))?;
    let planning = Planning::new(release_binary("floe")?)?;
    let mut sizes = Sizes::open()?;

    let learned = steps.step("learn from ten versions", || planning.learn(&histories.learned))?;
    let mut rows = Vec::new();
    for history in &histories.updates {
        let chain = |planner: &Planner| planning.chain(*planner, &history.versions, BUDGET, &learned);
        let plans = steps.step(&format!("plan: {}", history.name), || {
            Planner::ALL.iter().map(chain).collect::<Result<Vec<_>>>()
        })?;
        steps.step(&format!("compress: {}", history.name), || sizes.learn(plans.iter().flatten()))?;
        rows.push(Row::new(history, &plans, &sizes));
    }
    let mut fleets = Vec::new();
    for (name, images) in &histories.fleets {
        for budget in BUDGETS {
            let fleet = |planner: &Planner| planning.chain(*planner, images, budget, &learned);
            let plans = steps.step(&format!("plan the {name}, {budget} layers"), || {
                Planner::ALL.iter().map(fleet).collect::<Result<Vec<_>>>()
            })?;
            sizes.learn(plans.iter().flatten())?;
            fleets.push(Fleet::new(name, budget, &plans, &sizes));
        }
    }
    let speed = steps.step("plan 5,000 paths", planner::speed)?;
    page::write(&rows, &fleets, &speed)?;
    steps.finish();
    Ok(())
}
