//! The simulated autopilot on a loopback link, in real time: for manual tries and tests of the live pipeline.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::SimAutopilot;
use crate::time::{Clock, MonoTime};

/// How long it waits for bytes before it flies on.
const TICK: Duration = Duration::from_millis(5);
/// How long a peer may be slow to take bytes before it is dropped.
const WRITE_DEADLINE: Duration = Duration::from_millis(500);

/// Where the bytes go.
#[derive(Debug)]
pub enum Endpoint {
    /// Sends to this address, and takes answers (a companion that listens with `udpin:`).
    Udp(UdpSocket, SocketAddr),
    /// Waits for one companion at a time (`tcp:`).
    Tcp(TcpListener),
}

impl Endpoint {
    /// UDP from a free local port to `to`.
    ///
    /// # Errors
    /// When no socket can be had.
    pub fn udp_to(to: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr = if to.is_ipv4() {
            ([0, 0, 0, 0], 0).into()
        } else {
            ([0u16; 8], 0).into()
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_read_timeout(Some(TICK))?;
        Ok(Self::Udp(socket, to))
    }

    /// TCP, listening at `at` (port 0 takes a free one: see [`Endpoint::local_addr`]).
    ///
    /// # Errors
    /// When the address is taken.
    pub fn tcp_at(at: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Tcp(listener))
    }

    /// The address at this end.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Udp(socket, _) => socket.local_addr(),
            Self::Tcp(listener) => listener.local_addr(),
        }
    }
}

/// Flies `autopilot` in real time at `endpoint` until `stop` is set; `watch` sees it after each turn (for a view, or to
/// inject faults). Its time 0 is the moment of the call. A lost peer is waited for again.
///
/// # Errors
/// When the socket itself fails; never because of what the peer does.
pub fn serve(
    autopilot: &mut SimAutopilot,
    endpoint: &Endpoint,
    clock: &impl Clock,
    stop: &AtomicBool,
    mut watch: impl FnMut(&mut SimAutopilot),
) -> io::Result<()> {
    let start = clock.now();
    let mut peer = None;
    let mut inward = vec![0; 4096];
    let mut outward = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let got = match endpoint {
            Endpoint::Udp(socket, _) => came(socket.recv(&mut inward))?,
            Endpoint::Tcp(listener) => hear(listener, &mut peer, &mut inward)?,
        };
        let now = MonoTime::ZERO.after(clock.now().since(start));
        autopilot.receive(inward.get(..got).unwrap_or_default(), now);
        watch(autopilot);
        autopilot.transmit(&mut outward);
        match endpoint {
            // A companion that is not there (yet) is no failure.
            Endpoint::Udp(socket, to) => {
                for piece in outward.chunks(1024) {
                    let _ = socket.send_to(piece, to);
                }
            }
            Endpoint::Tcp(_) => {
                let is_lost = peer
                    .as_mut()
                    .is_some_and(|p: &mut TcpStream| p.write_all(&outward).is_err());
                if is_lost {
                    peer = None;
                }
            }
        }
        outward.clear();
    }
    Ok(())
}

/// Bytes of the peer; waits one tick at most. Takes a new peer when there is none.
fn hear(
    listener: &TcpListener,
    peer: &mut Option<TcpStream>,
    into: &mut [u8],
) -> io::Result<usize> {
    let Some(stream) = peer else {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(TICK))?;
                stream.set_write_timeout(Some(WRITE_DEADLINE))?;
                stream.set_nodelay(true)?;
                *peer = Some(stream);
            }
            Err(e) if is_wait(&e) => std::thread::park_timeout(TICK),
            Err(e) => return Err(e),
        }
        return Ok(0);
    };
    match stream.read(into) {
        Ok(0) => *peer = None,
        Ok(n) => return Ok(n),
        Err(e) if is_wait(&e) => {}
        Err(_) => *peer = None,
    }
    Ok(0)
}

/// Nothing yet is nothing; a UDP peer that is not there shows as a refusal.
fn came(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Ok(n) => Ok(n),
        Err(e) if is_wait(&e) || e.kind() == ErrorKind::ConnectionRefused => Ok(0),
        Err(e) => Err(e),
    }
}

fn is_wait(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
