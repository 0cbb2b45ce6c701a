//! Half of what a server can do, five times of it, and many connections at once. The call is the one that takes the server most
//! for each byte, so that a caller with one core can ask for five times as many.

use std::time::Duration;

use crate::goals::Figures;
use crate::load::{Load, Outcome, Target};
use crate::server::Server;
use crate::{Size, median};

pub const PATH: &str = "/webhooks/validate/shoot";

/// New connections at once: as many as an API server keeps.
const BURST: usize = 25;

/// Calls each second when there is always one more.
fn saturation(load: &Load, target: &Target, span: Duration) -> f64 {
    let mut connections = load.connect(target.port, 16);
    let rate = load.closed(&mut connections, target, 500).rate();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let calls = (rate * span.as_secs_f64()) as usize;
    load.closed(&mut connections, target, calls).rate()
}

pub fn measure(figures: &mut Figures, load: &Load, server: &Server, body: &str, size: Size) {
    let [ours, fixed] = [PATH, "/fixed"].map(|path| Target::new(server.port, path, body));
    let half = || {
        let rate = saturation(load, &ours, size.span / 2) / 2.0;
        let [ours, fixed] = [&ours, &fixed].map(|target| load.open(target, rate, size.span).share(990));
        ours.as_secs_f64() / fixed.as_secs_f64()
    };
    figures.put("load/half", median((0..size.rounds).map(|_| half())));

    let burst = |target: &Target| {
        std::thread::sleep(Duration::from_secs(1));
        load.burst(target, BURST).as_secs_f64()
    };
    figures.put("burst", median((0..size.rounds).map(|_| burst(&ours) / burst(&fixed))));

    let [before, _] = server.memory();
    server.forget_peak();
    let goodput = || {
        let rate = saturation(load, &ours, size.span);
        let outcome = load.open(&ours, rate * 5.0, size.span);
        tell(&outcome);
        outcome.rate() / rate
    };
    figures.put("load/goodput", median((0..size.rounds.div_ceil(3)).map(|_| goodput())));
    figures.put("load/memory", server.memory()[1] - before);
}

/// What became of the calls, for those who want to know why.
fn tell(outcome: &Outcome) {
    let Outcome { times, refused, failed, unsent, .. } = outcome;
    let good = times.len();
    eprintln!("  five times: {good} answered well, {refused} refused, {failed} failed, {unsent} found no connection");
}
