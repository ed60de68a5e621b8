//! Simulates one world, which its arguments describe, and writes what happened as JSON: see `World::parse`.

use std::process::ExitCode;

use distributed_rate_limiter_simulator::world::World;
use distributed_rate_limiter_simulator::{report, simulation};

fn main() -> ExitCode {
    match World::parse(std::env::args().skip(1)) {
        Ok(world) => {
            let course = simulation::run(&world);
            println!("{}", report::write(&world, &course.tally, &course.nodes, course.used));
            ExitCode::SUCCESS
        }
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    }
}
