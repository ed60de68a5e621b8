//! Plays every controller in every scenario, an event loop, and fleets, and writes what happened as JSON, for `simulator/report/adaptive.mjs`.

use distributed_rate_limiter_simulator::adaptive::event_loop;
use distributed_rate_limiter_simulator::adaptive::fleet::{self, TROUBLES};
use distributed_rate_limiter_simulator::adaptive::rivals::{NAMES, Rival};
use distributed_rate_limiter_simulator::adaptive::scenario::{ALL, Scenario};
use distributed_rate_limiter_simulator::adaptive::server::{Moment, judge, play};

fn main() {
    let mut runs = Vec::new();
    for (scenario, what) in ALL {
        for name in NAMES {
            let mut rival = Rival::named(name).expect("the names are theirs");
            runs.push(report(scenario, "controller", name, what, &play(what, &mut rival, 1)));
        }
    }
    let loops = event_loop::ALL.map(|(name, hears)| {
        let moments = event_loop::play(hears, 1);
        let after = event_loop::after_the_first_blow(&moments);
        let run = report("load-step", "hears", name, event_loop::SCENARIO, &moments);
        format!(r#"{{"after":{after:.3},"run":{run}}}"#)
    });
    let mut fleets = Vec::new();
    for (name, trouble) in TROUBLES {
        for scope in ["instance", "fleet"] {
            let moments = fleet::play(trouble, scope == "fleet", 1);
            fleets.push(report(name, "scope", scope, trouble.scenario(), &moments));
        }
    }
    let [runs, loops, fleets] = [&runs[..], &loops[..], &fleets[..]].map(|reports| reports.join(",\n"));
    println!(r#"{{"runs":[{runs}],"loops":[{loops}],"fleets":[{fleets}]}}"#);
}

/// What came of a run, of which `who` was the `kind`.
fn report(scenario: &str, kind: &str, who: &str, what: Scenario, moments: &[Moment]) -> String {
    let judged = judge(what, moments);
    // Half seconds are enough for a picture.
    let points = moments.chunks(5).map(|half| {
        let good = half.iter().map(|moment| moment.good).sum::<f64>() / half.len() as f64;
        let end = half[half.len() - 1];
        format!("[{:.1},{:.0},{:.0},{:.0},{:.3}]", end.second, end.offered, end.capacity, good, end.level)
    });
    let settled = if judged.settled.is_finite() { format!("{:.1}", judged.settled) } else { "null".into() };
    format!(
        r#"{{"scenario":"{scenario}","{kind}":"{who}","goodput":{:.3},"settled":{settled},"swing":{:.3},"points":[{}]}}"#,
        judged.goodput,
        judged.swing,
        points.collect::<Vec<_>>().join(",")
    )
}
