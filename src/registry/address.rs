//! Whom a registry's name may lead to: nobody inside the network that the operator runs in, unless the cluster's administrator says so.
//!
//! Whoever writes a project says where the operator asks. So that this opens no door to what only the operator reaches (metadata of
//! the cloud, services of the cluster, other machines, itself), an address is judged where the connection is made: after names were
//! resolved, at each redirect, and where a registry sends for tokens.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use thiserror::Error;

/// The variables that name a proxy for addresses with TLS.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The port of plain HTTP.
const PLAIN_HTTP: u16 = 80;

/// An address that is inside, and not among those that may be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place} is inside the network")]
pub struct Internal {
    /// Its host, with the port where it is known.
    pub place: String,
}

/// Which addresses may be asked.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Hosts that may be inside, at every port or at one.
    listed: BTreeSet<(String, Option<u16>)>,
    /// Names of proxies. The client must find them, but nobody is led to them.
    proxies: BTreeSet<String>,
}

impl Addresses {
    /// Those of the whole Internet and of these hosts, written with or without a port. Of those for plain HTTP, one without a port
    /// has that of plain HTTP, as images mean it.
    #[must_use]
    pub fn new(internal: &BTreeSet<String>, plain_http: &BTreeSet<String>) -> Self {
        let plain_http = plain_http.iter().filter_map(|host| parts(host));
        let plain_http = plain_http.map(|(name, port)| (name, port.or(Some(PLAIN_HTTP))));
        let listed = internal.iter().filter_map(|host| parts(host)).chain(plain_http).collect();
        Self { listed, ..Self::default() }
    }

    /// The same behind the proxy that the environment names: whom it lets through it decides itself.
    #[must_use]
    pub fn behind_proxy_of_environment(mut self) -> Self {
        let named = PROXIES.into_iter().filter_map(|name| std::env::var(name).ok());
        self.proxies.extend(named.filter_map(|value| proxy(&value)));
        self
    }

    /// Whether this address may be asked as it is written; names are judged again when they are resolved.
    ///
    /// # Errors
    /// It is inside, the proxy, or another port of a host that is listed.
    pub fn admit(&self, address: &Url) -> Result<(), Internal> {
        let (Some(host), port) = (address.host_str(), address.port_or_known_default()) else { return Ok(()) };
        let name = bare(host);
        if self.listed.contains(&(name.clone(), port)) || self.listed.contains(&(name.clone(), None)) {
            return Ok(());
        }
        // Of every way to write an IP address (in hexadecimal, as one number, ...) `Url` has made this one.
        let inside = match name.trim_matches(['[', ']']).parse() {
            Ok(address) => is_inside(address),
            Err(_) => self.is_named(&name),
        };
        let place = port.map_or_else(|| name.clone(), |port| format!("{name}:{port}"));
        if inside { Err(Internal { place }) } else { Ok(()) }
    }

    /// The redirects that are followed.
    pub(super) fn redirects(&self) -> Policy {
        let addresses = self.clone();
        Policy::custom(move |attempt| match addresses.admit(attempt.url()) {
            Ok(()) => Policy::default().redirect(attempt),
            Err(internal) => attempt.error(internal),
        })
    }

    fn is_named(&self, name: &str) -> bool {
        self.proxies.contains(name) || self.listed.iter().any(|(listed, _)| listed == name)
    }
}

/// Resolves names to addresses that may be asked. The connection is made to just these: nothing resolves the name again.
pub(super) struct Judged {
    pub(super) addresses: Addresses,
    pub(super) names: Arc<dyn Resolve>,
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let place = name.as_str().to_owned();
        let may_be_inside = self.addresses.is_named(&bare(&place));
        let found = self.names.resolve(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            if !may_be_inside && found.iter().any(|address| is_inside(address.ip())) {
                return Err(Internal { place }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The names of the system.
pub(super) struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Host and port of a text like `registry.local:5000` or `[::1]`.
fn parts(text: &str) -> Option<(String, Option<u16>)> {
    let authority: http::uri::Authority = text.parse().ok()?;
    let address = Url::parse(&format!("https://{text}")).ok()?;
    Some((bare(address.host_str()?), authority.port_u16()))
}

fn proxy(value: &str) -> Option<String> {
    let with_scheme = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let address = Url::parse(&with_scheme).ok()?;
    address.host_str().map(bare)
}

/// A name in small letters, without the dot that ends it.
fn bare(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Whether an address is none of the public Internet: of this machine, of its link or network, of several machines, or of nobody.
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inside_v4(address),
        IpAddr::V6(address) => is_inside_v6(address),
    }
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // This network, private networks, this machine, and everything from multicast on.
        (0 | 10 | 127 | 224..=255, ..)
        // Carriers' own (also used by clusters), the link (and metadata), private networks, networks for tests.
        | (100, 64..=127, _)
        | (169, 254, _)
        | (172, 16..=31, _)
        | (192, 168, _)
        | (192, 0, 0 | 2)
        | (198, 18..=19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        _ => false,
    }
}

fn is_inside_v6(address: Ipv6Addr) -> bool {
    match address.octets() {
        // Translated to IPv4 on the way.
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, v4 @ ..] => is_inside_v4(v4.into()),
        [0x20, 0x02, a, b, c, d, ..] => is_inside_v4([a, b, c, d].into()),
        // Tunnels and documentation.
        [0x20, 0x01, 0, 0, ..] | [0x20, 0x01, 0x0d, 0xb8, ..] => true,
        // Outside is what begins with 001. IPv4 written as IPv6 has an address of its own to be asked at.
        [first, ..] => first >> 5 != 1,
    }
}

#[cfg(test)]
mod tests;
