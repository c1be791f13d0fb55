//! `link.address`: which device or socket the autopilot is on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where the autopilot is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LinkAddress {
    /// `serial:/dev/ttyAMA0:921600`: a serial port and its speed, bits per second.
    Serial {
        /// The device.
        device: String,
        /// Bits per second.
        baud: u32,
    },
    /// `udpin:0.0.0.0:14540`: waits for datagrams there, and answers whoever sends them.
    UdpIn(HostPort),
    /// `udpout:192.168.1.5:14550`: sends datagrams there.
    UdpOut(HostPort),
    /// `tcp:127.0.0.1:5762`: connects there.
    Tcp(HostPort),
}

/// A host by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// Name, IPv4 or IPv6 address (without brackets).
    pub host: String,
    /// Port, not zero.
    pub port: u16,
}

/// An address that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "link.address = {value:?}: {problem}; write serial:DEVICE:BAUD (serial:/dev/ttyAMA0:921600), udpin:HOST:PORT \
     (udpin:0.0.0.0:14540), udpout:HOST:PORT or tcp:HOST:PORT (tcp:127.0.0.1:5762)"
)]
pub struct AddressError {
    /// What was written.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
}

impl FromStr for LinkAddress {
    type Err = AddressError;

    fn from_str(value: &str) -> Result<Self, AddressError> {
        let wrong = |problem: String| AddressError {
            value: value.to_owned(),
            problem,
        };
        let (kind, rest) = value
            .split_once(':')
            .ok_or_else(|| wrong("it has no kind".to_owned()))?;
        match kind {
            "serial" => serial(rest).map_err(wrong),
            "udpin" => host_port(rest).map(Self::UdpIn).map_err(wrong),
            "udpout" => host_port(rest).map(Self::UdpOut).map_err(wrong),
            "tcp" => host_port(rest).map(Self::Tcp).map_err(wrong),
            _ => Err(wrong(format!("{kind:?} is not a kind of link"))),
        }
    }
}

fn serial(rest: &str) -> Result<LinkAddress, String> {
    let (device, baud) = rest
        .rsplit_once(':')
        .ok_or_else(|| "the speed is missing".to_owned())?;
    if device.is_empty() {
        return Err("the device is missing".to_owned());
    }
    let baud = baud
        .parse()
        .ok()
        .filter(|b| (1200..=12_000_000).contains(b))
        .ok_or_else(|| format!("the speed {baud:?} is not a number from 1200 to 12000000"))?;
    Ok(LinkAddress::Serial {
        device: device.to_owned(),
        baud,
    })
}

fn host_port(rest: &str) -> Result<HostPort, String> {
    let (host, port) = rest
        .rsplit_once(':')
        .ok_or_else(|| "the port is missing".to_owned())?;
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    if bare.is_empty() {
        return Err("the host is missing".to_owned());
    }
    if bare == host && host.contains(':') {
        return Err("an IPv6 host stands in brackets".to_owned());
    }
    let port = port
        .parse()
        .ok()
        .filter(|p| *p > 0)
        .ok_or_else(|| format!("the port {port:?} is not a number from 1 to 65535"))?;
    Ok(HostPort {
        host: bare.to_owned(),
        port,
    })
}

impl TryFrom<String> for LinkAddress {
    type Error = AddressError;

    fn try_from(value: String) -> Result<Self, AddressError> {
        value.parse()
    }
}

impl From<LinkAddress> for String {
    fn from(address: LinkAddress) -> Self {
        address.to_string()
    }
}

impl fmt::Display for LinkAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial { device, baud } => write!(f, "serial:{device}:{baud}"),
            Self::UdpIn(at) => write!(f, "udpin:{at}"),
            Self::UdpOut(at) => write!(f, "udpout:{at}"),
            Self::Tcp(at) => write!(f, "tcp:{at}"),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("serial:/dev/ttyAMA0:921600")]
    #[case("serial:/dev/serial/by-id/usb-Auterion:57600")]
    #[case("udpin:0.0.0.0:14540")]
    #[case("udpin:[::]:14540")]
    #[case("udpout:gcs.local:14550")]
    #[case("tcp:127.0.0.1:5762")]
    fn addresses_read_and_write_the_same(#[case] text: &str) {
        let address: LinkAddress = text.parse().unwrap();
        assert_eq!(address.to_string(), text);
    }

    #[rstest]
    #[case::no_kind("/dev/ttyAMA0", "no kind")]
    #[case::wrong_kind("udp:0.0.0.0:14540", "\"udp\" is not a kind")]
    #[case::no_speed("serial:/dev/ttyAMA0", "speed is missing")]
    #[case::odd_speed("serial:/dev/ttyAMA0:fast", "\"fast\"")]
    #[case::slow("serial:/dev/ttyAMA0:9", "\"9\"")]
    #[case::no_device("serial::57600", "device is missing")]
    #[case::no_port("tcp:localhost", "port is missing")]
    #[case::port_zero("tcp:localhost:0", "\"0\"")]
    #[case::big_port("udpin:0.0.0.0:99999", "\"99999\"")]
    #[case::no_host("udpin::14540", "host is missing")]
    #[case::bare_ipv6("udpin:::1:14540", "brackets")]
    #[case::empty("", "no kind")]
    fn errors_name_key_value_and_remedy(#[case] text: &str, #[case] part: &str) {
        let message = text.parse::<LinkAddress>().unwrap_err().to_string();
        for part in ["link.address", &format!("{text:?}"), part, "tcp:HOST:PORT"] {
            assert!(message.contains(part), "{part} in: {message}");
        }
    }
}
