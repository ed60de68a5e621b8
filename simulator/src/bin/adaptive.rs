//! Plays every controller in every scenario and writes what happened as JSON, for `simulator/report/adaptive.mjs`.

use distributed_rate_limiter_simulator::adaptive::rivals::{NAMES, Rival};
use distributed_rate_limiter_simulator::adaptive::scenario::ALL;
use distributed_rate_limiter_simulator::adaptive::server::{judge, play};

fn main() {
    let mut runs = Vec::new();
    for (scenario, what) in ALL {
        for name in NAMES {
            let mut rival = Rival::named(name).expect("the names are theirs");
            let moments = play(what, &mut rival, 1);
            let judged = judge(what, &moments);
            // Half seconds are enough for a picture.
            let points = moments.chunks(5).map(|half| {
                let good = half.iter().map(|moment| moment.good).sum::<f64>() / half.len() as f64;
                let end = half[half.len() - 1];
                format!("[{:.1},{:.0},{:.0},{:.0},{:.3}]", end.second, end.offered, end.capacity, good, end.level)
            });
            let settled = if judged.settled.is_finite() { format!("{:.1}", judged.settled) } else { "null".into() };
            runs.push(format!(
                r#"{{"scenario":"{scenario}","controller":"{name}","goodput":{:.3},"settled":{settled},"swing":{:.3},"points":[{}]}}"#,
                judged.goodput,
                judged.swing,
                points.collect::<Vec<_>>().join(",")
            ));
        }
    }
    println!("[{}]", runs.join(",\n"));
}
