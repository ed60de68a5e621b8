//! Plays every controller in every scenario, and fleets, and writes what happened as JSON, for `simulator/report/adaptive.mjs`.

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
    let mut fleets = Vec::new();
    for (name, trouble) in TROUBLES {
        for scope in ["instance", "fleet"] {
            let moments = fleet::play(trouble, scope == "fleet", 1);
            fleets.push(report(name, "scope", scope, trouble.scenario(), &moments));
        }
    }
    println!(r#"{{"runs":[{}],"fleets":[{}]}}"#, runs.join(",\n"), fleets.join(",\n"));
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
