//! What a Deployment and its Service are to the server: replicas that are replaced.

use std::collections::VecDeque;

use crate::harness::{Balancer, ControlPlane, Guard, until};

/// Replicas of the server behind a balancer.
pub struct Replicas {
    pub balancer: Balancer,
    /// The oldest one first.
    pub serving: VecDeque<Guard>,
    leaving: Vec<Guard>,
    /// The logs of those that have gone.
    gone: Vec<String>,
    started: u32,
}

impl Replicas {
    /// A first one, which is ready and known.
    pub fn start(control_plane: &ControlPlane, balancer: Balancer, configuration: &str) -> Self {
        let first = Guard::start_configured(control_plane, configuration);
        first.wait_until_ready();
        balancer.add(first.port(), first.health_port());
        let serving = VecDeque::from([first]);
        let replicas = Self { balancer, serving, leaving: Vec::new(), gone: Vec::new(), started: 0 };
        until("the first one is known", || replicas.all_known());
        replicas
    }

    /// One more, which is ready.
    pub fn add(&mut self) {
        self.started += 1;
        let next = self.serving[0].replica(&format!("replica-{}", self.started));
        next.wait_until_ready();
        self.balancer.add(next.port(), next.health_port());
        self.serving.push_back(next);
    }

    /// Replaces the oldest one: a new one first, and the end of the old one when the new one is ready. The old one is not
    /// waited for.
    pub fn replace(&mut self) {
        self.replace_at(0);
    }

    /// The same with this one.
    pub fn replace_at(&mut self, index: usize) {
        self.add();
        let mut old = self.serving.remove(index).unwrap();
        old.process().signal("TERM");
        self.leaving.push(old);
        self.see_off();
    }

    /// Kills the oldest one, as nothing that is meant does; a new one comes after that.
    pub fn kill(&mut self) {
        let old = self.kill_at(0);
        self.make_up_for(&old);
    }

    /// The same with this one, without a new one.
    pub fn kill_at(&mut self, index: usize) -> Guard {
        let mut old = self.serving.remove(index).unwrap();
        old.kill();
        old
    }

    /// The new one for one that was killed.
    pub fn make_up_for(&mut self, old: &Guard) {
        self.add();
        self.balancer.remove(old.port());
        self.gone.push(old.log());
    }

    /// All that run, also those on their way out.
    pub fn running(&self) -> impl Iterator<Item = &Guard> {
        self.serving.iter().chain(&self.leaving)
    }

    /// What all of them have logged, each on its own.
    pub fn logs(&self) -> Vec<String> {
        self.gone.iter().cloned().chain(self.running().map(Guard::log)).collect()
    }

    /// Whether connections go to all of them.
    pub fn all_known(&self) -> bool {
        self.serving.iter().all(|guard| self.balancer.knows(guard.port()))
    }

    /// How many are on their way out.
    pub fn leaving(&self) -> usize {
        self.leaving.len()
    }

    /// Those that have gone did so with success.
    pub fn see_off(&mut self) {
        let (balancer, gone) = (&self.balancer, &mut self.gone);
        self.leaving.retain_mut(|guard| {
            let is_running = guard.process().is_running();
            if !is_running {
                assert_eq!(guard.process().wait(), Some(0), "{}", guard.process().last_words());
                balancer.remove(guard.port());
                gone.push(guard.log());
            }
            is_running
        });
    }
}
