//! One opened device or socket, as a handle to read and a handle to write.

use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use serialport::TTYPort;

use super::{FRAME, HostPort, LinkAddress, LinkError};

/// Longest wait for a TCP connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest wait for a device to take bytes: a frame takes 3 ms at 921600 bits per second, 50 ms at 57600.
const WRITE: Duration = Duration::from_millis(100);

/// Reads bytes, waiting no longer than its patience.
#[derive(Debug)]
pub(super) enum ReadPipe {
    Serial(TTYPort),
    Tcp(TcpStream),
    /// Whoever sends.
    UdpIn(UdpSocket),
    /// Connected to one.
    UdpOut(UdpSocket),
}

/// Writes bytes.
#[derive(Debug)]
pub(super) enum WritePipe {
    Serial(TTYPort),
    Tcp(TcpStream),
    UdpIn(UdpSocket),
    UdpOut(UdpSocket),
}

impl ReadPipe {
    /// So many bytes, and from whom where that can be anybody.
    pub(super) fn read(
        &mut self,
        buffer: &mut [u8],
    ) -> std::io::Result<(usize, Option<SocketAddr>)> {
        match self {
            Self::Serial(port) => port.read(buffer).map(|n| (n, None)),
            Self::Tcp(stream) => stream.read(buffer).map(|n| (n, None)),
            Self::UdpIn(socket) => socket.recv_from(buffer).map(|(n, from)| (n, Some(from))),
            Self::UdpOut(socket) => socket.recv(buffer).map(|n| (n, None)),
        }
    }

    /// Whether no bytes mean that the other side is gone.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self, Self::Serial(_) | Self::Tcp(_))
    }
}

impl WritePipe {
    pub(super) const fn needs_peer(&self) -> bool {
        matches!(self, Self::UdpIn(_))
    }

    /// Sends frames, and says how many bytes were taken. A datagram holds one frame, so that a lost one costs no other.
    pub(super) fn write(&mut self, frames: &[u8], peer: Option<SocketAddr>) -> u64 {
        match (self, peer) {
            (Self::Serial(port), _) => write_stream(port, frames),
            (Self::Tcp(stream), _) => write_stream(stream, frames),
            (Self::UdpOut(socket), _) => datagrams(frames, |frame| socket.send(frame)),
            (Self::UdpIn(socket), Some(peer)) => {
                datagrams(frames, |frame| socket.send_to(frame, peer))
            }
            (Self::UdpIn(_), None) => 0,
        }
    }
}

/// Writes as much as is taken in time. What is not is dropped: the receiver finds the next frame again.
fn write_stream(to: &mut impl std::io::Write, bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    while !rest.is_empty() {
        // In pieces: a serial port takes a long write at once or blocks.
        match to.write(rest.get(..FRAME).unwrap_or(rest)) {
            Ok(0) => break,
            Ok(n) => rest = rest.get(n..).unwrap_or(&[]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    (bytes.len() - rest.len()) as u64
}

fn datagrams(frames: &[u8], mut send: impl FnMut(&[u8]) -> std::io::Result<usize>) -> u64 {
    let mut taken = 0;
    let mut rest = frames;
    while !rest.is_empty() {
        let (frame, after) = rest.split_at(frame_len(rest));
        taken += send(frame).unwrap_or(0) as u64;
        rest = after;
    }
    taken
}

/// Length of the frame at the start, as we write them; all of it where there is none.
fn frame_len(bytes: &[u8]) -> usize {
    let len = match bytes {
        [mavlink::MAV_STX_V2, payload, flags, ..] => {
            let signature = if flags & 1 == 0 { 0 } else { 13 };
            12 + usize::from(*payload) + signature
        }
        _ => FRAME,
    };
    len.min(bytes.len())
}

/// Opens a device or socket.
pub(super) fn open(
    address: &LinkAddress,
    patience: Duration,
) -> Result<(ReadPipe, WritePipe), LinkError> {
    let opened = match address {
        LinkAddress::Serial { device, baud } => {
            return open_serial(address, device, *baud, patience);
        }
        LinkAddress::UdpIn(at) => open_udp(at, true, patience),
        LinkAddress::UdpOut(at) => open_udp(at, false, patience),
        LinkAddress::Tcp(at) => open_tcp(at, patience),
    };
    opened.map_err(|source| LinkError::Open {
        address: address.clone(),
        remedy: remedy(address, &source),
        source,
    })
}

fn remedy(address: &LinkAddress, e: &std::io::Error) -> &'static str {
    match (address, e.kind()) {
        (LinkAddress::UdpIn(_), ErrorKind::AddrInUse) => {
            "another program listens there: stop it, or take another port"
        }
        (LinkAddress::UdpIn(_), ErrorKind::AddrNotAvailable) => {
            "the host must be one of this computer's own addresses, or 0.0.0.0 for all"
        }
        (LinkAddress::Tcp(_), ErrorKind::ConnectionRefused) => {
            "nobody listens there: start the autopilot (or its simulation), or correct the port"
        }
        _ => "check host, port and network",
    }
}

fn open_serial(
    address: &LinkAddress,
    device: &str,
    baud: u32,
    patience: Duration,
) -> Result<(ReadPipe, WritePipe), LinkError> {
    let open = || {
        let port = TTYPort::open(&serialport::new(device, baud).timeout(patience))?;
        let mut write = port.try_clone_native()?;
        serialport::SerialPort::set_timeout(&mut write, WRITE)?;
        Ok((ReadPipe::Serial(port), WritePipe::Serial(write)))
    };
    open().map_err(|e: serialport::Error| serial_error(address, device, e))
}

pub(super) fn serial_error(address: &LinkAddress, device: &str, e: serialport::Error) -> LinkError {
    let (address, device) = (address.clone(), device.to_owned());
    // The library says "no device" for a port in use, too: the file system knows better.
    let exists = std::path::Path::new(&device).exists();
    match e.kind() {
        serialport::ErrorKind::Io(ErrorKind::PermissionDenied) => {
            LinkError::Permission { address, device }
        }
        _ if !exists => LinkError::NoDevice {
            address,
            device,
            found: found_ports(),
        },
        _ => LinkError::Open {
            address,
            source: e.into(),
            remedy: "is it a serial port, and does no other program (a console, a modem manager) use it?",
        },
    }
}

fn found_ports() -> String {
    let names: Vec<String> = serialport::available_ports()
        .unwrap_or_default()
        .into_iter()
        .map(|p| p.port_name)
        .collect();
    if names.is_empty() {
        "none was found: is the autopilot plugged in, is the port enabled?".to_owned()
    } else {
        format!("found: {}", names.join(", "))
    }
}

fn open_udp(
    at: &HostPort,
    is_in: bool,
    patience: Duration,
) -> std::io::Result<(ReadPipe, WritePipe)> {
    let mut last = None;
    for to in (at.host.as_str(), at.port).to_socket_addrs()? {
        let any: SocketAddr = if to.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = UdpSocket::bind(if is_in { to } else { any }).and_then(|s| {
            if is_in {
                Ok(s)
            } else {
                s.connect(to).map(|()| s)
            }
        });
        match socket {
            Ok(socket) => {
                socket.set_read_timeout(Some(patience))?;
                socket.set_write_timeout(Some(WRITE))?;
                let write = socket.try_clone()?;
                return Ok(if is_in {
                    (ReadPipe::UdpIn(socket), WritePipe::UdpIn(write))
                } else {
                    (ReadPipe::UdpOut(socket), WritePipe::UdpOut(write))
                });
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
}

fn open_tcp(at: &HostPort, patience: Duration) -> std::io::Result<(ReadPipe, WritePipe)> {
    let mut last = None;
    for to in (at.host.as_str(), at.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&to, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(WRITE))?;
                let write = stream.try_clone()?;
                return Ok((ReadPipe::Tcp(stream), WritePipe::Tcp(write)));
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
}
