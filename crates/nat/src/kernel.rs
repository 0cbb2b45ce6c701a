//! Kernel settings of this network namespace.

use std::fs;
use std::path::PathBuf;

use anyhow::anyhow;

use super::agent::Event;
use network_guard_core::vpn::nat::{End, Plan};

/// How kernel settings are handled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KernelSettings {
    /// They are set.
    Set,
    /// They are left as they are; wrong ones are reported.
    Leave,
}

/// A wrong setting.
pub(super) struct WrongSetting {
    name: String,
    file: PathBuf,
    wanted: &'static str,
    found: String,
    why: &'static str,
}

impl WrongSetting {
    /// A setting that this kernel does not have, such as one of IPv6, cannot be wrong.
    fn of(name: String, file: PathBuf, wanted: &'static str, why: &'static str) -> Option<Self> {
        let found = fs::read_to_string(&file).ok()?.trim().to_owned();
        (found != wanted).then_some(Self { name, file, wanted, found, why })
    }

    /// In words.
    pub(super) fn in_words(&self) -> String {
        format!("kernel setting {} is {} and should be {}: {}", self.name, self.found, self.wanted, self.why)
    }
}

/// Settings that are not as the plan wants them.
pub(super) fn wrong_settings(plan: &Plan, end: &End) -> Vec<WrongSetting> {
    let planned = plan.settings.iter().filter_map(|setting| {
        let file = PathBuf::from("/proc/sys").join(setting.name.replace('.', "/"));
        WrongSetting::of(setting.name.to_owned(), file, setting.value, setting.why)
    });
    // The kernel uses the stricter of the settings for all devices and for one device, and a device may be older than
    // the default.
    let devices = fs::read_dir("/proc/sys/net/ipv4/conf").into_iter().flatten().flatten();
    let of_devices = devices.filter_map(|device| {
        let name = device.file_name().into_string().ok().filter(|name| end.tunnel.matches(name))?;
        let why = "answers that arrive by another device than the kernel expects are dropped";
        WrongSetting::of(format!("net.ipv4.conf.{name}.rp_filter"), device.path().join("rp_filter"), "0", why)
    });
    planned.chain(of_devices).collect()
}

/// Sets all wrong settings, or none; returns the previous values.
pub(super) fn set(plan: &Plan, end: &End, tell: &mut dyn FnMut(Event)) -> anyhow::Result<Vec<WrongSetting>> {
    let wrong = wrong_settings(plan, end);
    for (index, setting) in wrong.iter().enumerate() {
        if let Err(error) = fs::write(&setting.file, setting.wanted) {
            set_back(&wrong[..index], tell);
            return Err(anyhow!(error).context(format!(
                "cannot set the kernel setting {} to {}: a container can only where it is privileged; if another \
                 container of the Pod sets it, as vpn2's does, use --settings leave",
                setting.name, setting.wanted
            )));
        }
    }
    Ok(wrong)
}

/// Restores the previous values.
pub(super) fn set_back(before: &[WrongSetting], tell: &mut dyn FnMut(Event)) {
    for WrongSetting { name, file, found, .. } in before {
        if let Err(error) = fs::write(file, found) {
            tell(Event::Warning(format!("the kernel setting {name} cannot be set back to {found}: {error}")));
        }
    }
}
