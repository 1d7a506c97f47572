//! The token server that a registry names, its realm: whether credentials may be sent there.
//!
//! A registry's word leads floe to a URL with the user's login in hand. What lies in the user's own network, or would
//! carry the login in the clear, is refused, unless the registry is there itself.

use std::net::IpAddr;

use reqwest::Url;

use super::authority::{authority, is_loopback};
use super::host::Host;

/// A registry names a token server that credentials are not sent to.
#[derive(Debug, thiserror::Error)]
pub enum RealmError {
    /// It is on a private or link-local address that is not the registry's own: following it would let a registry make
    /// floe send credentials into the user's network.
    #[error("'{host}' names a token server on a private address, '{realm}'; credentials are not sent there")]
    Private {
        /// The registry.
        host: String,
        /// The token server's host.
        realm: String,
    },
    /// It would be spoken to without encryption, though the registry is encrypted.
    #[error("'{host}' names a token server without HTTPS, '{realm}'; credentials are not sent there")]
    Plain {
        /// The registry.
        host: String,
        /// The token server's host.
        realm: String,
    },
}

/// A realm as errors show it: by its host, or by its scheme where it has none, such as `mailto:`.
pub(super) fn name(realm: &Url) -> String {
    if realm.has_host() { authority(realm) } else { realm.scheme().to_owned() }
}

/// Refuses a realm that a registry could use to reach into the user's network or to read credentials on the wire.
pub(super) async fn check(host: &Host, realm: &Url) -> Result<(), RealmError> {
    let base = host.base();
    let own = base.as_ref().and_then(Url::host_str);
    let realm_host = realm.host_str().unwrap_or_default();
    let is_own = own.is_some_and(|own| own.eq_ignore_ascii_case(realm_host));
    let registry_is_plain = base.as_ref().is_some_and(|base| base.scheme() == "http");
    let refused_plain =
        realm.scheme() != "https" && !(realm.scheme() == "http" && (registry_is_plain || host.is_insecure()));
    if refused_plain {
        return Err(RealmError::Plain { host: host.name().to_owned(), realm: name(realm) });
    }
    if is_own || (is_loopback(realm_host) && own.is_some_and(is_loopback)) {
        return Ok(());
    }
    let realm_addresses = addresses(realm).await;
    let is_private = match own.zip(base.as_ref()) {
        // A registry inside the user's network may have its token server there too, under another name.
        Some((own, base)) if literal(own).is_none() && literal(realm_host).is_none() => {
            let own_is_private = addresses(base).await.iter().any(|address| is_inner(*address));
            realm_addresses.iter().any(|address| is_link_local(*address))
                || (!own_is_private && realm_addresses.iter().any(|address| is_inner(*address)))
        }
        _ => realm_addresses.iter().any(|address| is_inner(*address)),
    };
    if is_private || is_loopback(realm_host) {
        return Err(RealmError::Private { host: host.name().to_owned(), realm: name(realm) });
    }
    Ok(())
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A name that cannot be resolved here is resolved by a proxy, or the request fails anyway.
async fn addresses(url: &Url) -> Vec<IpAddr> {
    let Some(host) = url.host_str() else { return Vec::new() };
    if let Some(address) = literal(host) {
        return vec![address];
    }
    let port = url.port_or_known_default().unwrap_or(443);
    match tokio::net::lookup_host((host, port)).await {
        Ok(found) => found.map(|address| address.ip()).collect(),
        Err(_) => Vec::new(),
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Private, loopback, link-local, shared or unspecified.
fn is_inner(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // RFC 6598: addresses between a provider and its customers.
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address.is_unique_local()
        }
    }
}

/// `::ffff:10.0.0.1` is `10.0.0.1`.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_inner_addresses() {
        for text in [
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_inner(text.parse().expect("an address")), "{text}");
        }
        for text in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:4860:4860::8888"] {
            assert!(!is_inner(text.parse().expect("an address")), "{text}");
        }
    }
}
