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
    /// To whoever called, if anybody has.
    UdpIn(UdpSocket, Option<SocketAddr>),
    UdpOut(UdpSocket),
}

impl ReadPipe {
    /// A handle of its own to write to the same device, or to `peer` where that can be anybody.
    pub(super) fn writer(&self, peer: Option<SocketAddr>) -> std::io::Result<WritePipe> {
        Ok(match self {
            Self::Serial(port) => {
                let mut port = port.try_clone_native()?;
                serialport::SerialPort::set_timeout(&mut port, WRITE)?;
                WritePipe::Serial(port)
            }
            Self::Tcp(stream) => WritePipe::Tcp(stream.try_clone()?),
            Self::UdpIn(socket) => WritePipe::UdpIn(socket.try_clone()?, peer),
            Self::UdpOut(socket) => WritePipe::UdpOut(socket.try_clone()?),
        })
    }

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
    pub(super) const fn lacks_peer(&self) -> bool {
        matches!(self, Self::UdpIn(_, None))
    }

    /// Sends frames, and says how many bytes were taken. A datagram holds one frame, so that a lost one costs no other.
    pub(super) fn write(&mut self, frames: &[u8]) -> u64 {
        match self {
            Self::Serial(port) => write_stream(port, frames),
            Self::Tcp(stream) => write_stream(stream, frames),
            Self::UdpOut(socket) => datagrams(frames, |frame| socket.send(frame)),
            Self::UdpIn(socket, Some(peer)) => {
                datagrams(frames, |frame| socket.send_to(frame, *peer))
            }
            Self::UdpIn(_, None) => 0,
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
pub(super) fn open(address: &LinkAddress, patience: Duration) -> Result<ReadPipe, LinkError> {
    let opened = match address {
        LinkAddress::Serial { device, baud } => {
            let port = serialport::new(device, *baud).timeout(patience);
            return TTYPort::open(&port)
                .map(ReadPipe::Serial)
                .map_err(|e| serial_error(address, device, e));
        }
        LinkAddress::UdpIn(at) => open_udp_in(at, patience),
        LinkAddress::UdpOut(at) => open_udp_out(at, patience),
        LinkAddress::Tcp(at) => open_tcp(at, patience),
    };
    opened.map_err(|source| failed(address, source))
}

/// The system's reason with what to do.
pub(super) fn failed(address: &LinkAddress, source: std::io::Error) -> LinkError {
    LinkError::Open {
        address: address.clone(),
        remedy: remedy(address, &source),
        source,
    }
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

/// Opens the first of a host's addresses that can be.
fn first<T>(at: &HostPort, open: impl Fn(SocketAddr) -> std::io::Result<T>) -> std::io::Result<T> {
    let mut last = ErrorKind::NotFound.into();
    for to in (at.host.as_str(), at.port).to_socket_addrs()? {
        match open(to) {
            Ok(opened) => return Ok(opened),
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn open_udp_in(at: &HostPort, patience: Duration) -> std::io::Result<ReadPipe> {
    let socket = first(at, UdpSocket::bind)?;
    set_waits(&socket, patience).map(|()| ReadPipe::UdpIn(socket))
}

fn open_udp_out(at: &HostPort, patience: Duration) -> std::io::Result<ReadPipe> {
    let socket = first(at, |to| {
        let any: SocketAddr = if to.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = UdpSocket::bind(any)?;
        socket.connect(to).map(|()| socket)
    })?;
    set_waits(&socket, patience).map(|()| ReadPipe::UdpOut(socket))
}

fn set_waits(socket: &UdpSocket, patience: Duration) -> std::io::Result<()> {
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(WRITE))
}

fn open_tcp(at: &HostPort, patience: Duration) -> std::io::Result<ReadPipe> {
    let stream = first(at, |to| TcpStream::connect_timeout(&to, CONNECT))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(WRITE))?;
    Ok(ReadPipe::Tcp(stream))
}
