//! Addresses and networks of them, and the smallest of many networks that holds an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Alike;

/// The longest text that is an address with a zone and a length.
const LONGEST: usize = 128;

/// Nothing stands above.
const NONE: u32 = u32::MAX;

/// A network of either family, or one address. An IPv4 address that is mapped into IPv6 is IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    is_v6: bool,
    /// The first address, its bits at the upper end.
    bits: u128,
    length: u8,
}

impl Network {
    fn new(address: IpAddr, length: Option<u8>) -> Option<Self> {
        let (is_v6, bits, most, length) = match address {
            IpAddr::V4(address) => (false, u128::from(u32::from(address)) << 96, 32, length),
            IpAddr::V6(address) => match (mapped(address), length) {
                (Some(address), None) => (false, u128::from(u32::from(address)) << 96, 32, None),
                (Some(address), Some(96..=128)) => {
                    (false, u128::from(u32::from(address)) << 96, 32, length.map(|length| length - 96))
                }
                (_, length) => (true, u128::from(address), 128, length),
            },
        };
        let length = length.unwrap_or(most);
        (length <= most).then_some(Self { is_v6, bits, length })
    }

    /// With the bits after its length left out.
    fn masked(self) -> Self {
        Self { bits: self.bits & mask(self.length), ..self }
    }

    /// Whether all of another is in it.
    fn holds(&self, other: &Self) -> bool {
        self.is_v6 == other.is_v6 && self.length <= other.length && other.bits & mask(self.length) == self.bits
    }

    /// The address or the network that a key is: what a guard counts IPv6 clients by is a network.
    fn of_key(key: &[u8]) -> Option<Self> {
        let could_be = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b':';
        if key.len() > LONGEST || !key.first().is_some_and(could_be) {
            return None;
        }
        let text = std::str::from_utf8(key).ok()?;
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length_of(length)?)),
            None => (text, None),
        };
        Self::new(address_of(address)?, length).map(Self::masked)
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

fn mapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    address.to_ipv4_mapped()
}

/// An address, whose zone says nothing of whose it is.
fn address_of(text: &str) -> Option<IpAddr> {
    match text.split_once('%') {
        Some((address, _)) => address.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

fn length_of(text: &str) -> Option<u8> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Reads a pattern that is an address or a network. `None` for one that is neither.
pub(super) fn read(text: &str) -> Result<Option<Network>, String> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let Some(address) = address_of(address) else { return Ok(None) };
    let invalid = || {
        let most = if address.is_ipv4() { 32 } else { 128 };
        format!("whose network has no length from 0 to {most} after the `/`: write `\\/` where it is no network")
    };
    let length = length.map(|length| length_of(length).ok_or_else(invalid)).transpose()?;
    let network = Network::new(address, length).ok_or_else(invalid)?;
    if network != network.masked() {
        let first = network.masked().bits;
        let first: IpAddr =
            if network.is_v6 { Ipv6Addr::from(first).into() } else { Ipv4Addr::from((first >> 96) as u32).into() };
        return Err(format!(
            "which is an address in the network {first}/{}: write that, or the address alone",
            network.length
        ));
    }
    Ok(Some(network))
}

/// Networks in order: each that lies in another stands after it, before all that do not.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks(Box<[Member]>);

#[derive(Clone, Debug)]
struct Member {
    network: Network,
    /// The smallest of the others that holds it.
    around: u32,
    number: u32,
}

impl Networks {
    pub(super) fn new(mut networks: Vec<(Network, u32)>) -> Result<Self, Alike> {
        networks.sort_unstable();
        let mut members: Vec<Member> = Vec::with_capacity(networks.len());
        for (network, number) in networks {
            let mut around = u32::try_from(members.len()).expect("patterns are bounded").wrapping_sub(1);
            while around != NONE && !members[around as usize].network.holds(&network) {
                around = members[around as usize].around;
            }
            if let Some(other) = members.get(around as usize).filter(|other| other.network == network) {
                return Err(Alike(other.number as usize, number as usize));
            }
            members.push(Member { network, around, number });
        }
        Ok(Self(members.into()))
    }

    /// The number of the smallest network that holds what a key is.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        let network = Network::of_key(key)?;
        // Whatever holds it stands before it, and holds all that stands between.
        let mut at = self.0.partition_point(|member| member.network <= network).checked_sub(1)?;
        while !self.0[at].network.holds(&network) {
            at = self.0[at].around as usize;
            if at == NONE as usize {
                return None;
            }
        }
        Some(self.0[at].number)
    }
}
