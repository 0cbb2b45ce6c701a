//! The containers of a VPN, by the names that gardenlet gives them.

use super::deployment::Container;

/// The first client in the Pod of a kube-apiserver whose VPN is highly available (this and the next three: gardener
/// `pkg/component/kubernetes/apiserver`, two VPN servers). More than two clients are accepted.
pub const FIRST_CLIENT: &str = "vpn-client-0";
/// The second client.
pub const SECOND_CLIENT: &str = "vpn-client-1";
/// The container that moves the routes to the working tunnel.
pub const PATH_CONTROLLER: &str = "vpn-path-controller";
/// The init container of the clients.
pub const CLIENT_INIT: &str = "vpn-client-init";
/// How the names of all clients begin, before their number.
pub const CLIENT_PREFIX: &str = "vpn-client-";

/// How the names of the VPN's containers in the Shoot begin, before their number, where it is highly available (this and the
/// next: gardener `pkg/component/networking/vpn/shoot`).
const SHOOT_PREFIX: &str = "vpn-shoot-s";
/// Their init container.
const SHOOT_INIT: &str = "vpn-shoot-init";

impl Container<'_> {
    /// Whether it is one of a highly available VPN, on the Seed's side or on the Shoot's.
    pub(crate) fn is_of_vpn(&self) -> bool {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |prefix| self.name.strip_prefix(prefix);
        let is_numbered = [CLIENT_PREFIX, SHOOT_PREFIX].into_iter().filter_map(number).any(is_number);
        is_numbered || matches!(&*self.name, PATH_CONTROLLER | CLIENT_INIT | SHOOT_INIT)
    }
}
