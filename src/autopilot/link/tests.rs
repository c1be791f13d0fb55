use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use mavlink::dialects::ardupilotmega::{HEARTBEAT_DATA, MavMessage};
use rstest::rstest;
use serialport::{SerialPort as _, TTYPort};

use super::*;
use crate::autopilot::framing::{Parser, Writer};
use crate::time::{Clock as _, SystemClock};

const PATIENCE: Duration = Duration::from_millis(50);

/// One link under test, on the machine's clock.
struct Ends {
    reader: LinkReader,
    writer: LinkWriter,
    clock: SystemClock,
}

impl Ends {
    fn new(address: &str) -> Self {
        let (reader, writer) = open(address.parse().unwrap(), PATIENCE);
        Self {
            reader,
            writer,
            clock: SystemClock::start(),
        }
    }

    /// Reads until something other than silence comes, for at most five seconds.
    fn next(&mut self) -> (Received, Vec<u8>) {
        let start = self.clock.now();
        loop {
            let now = self.clock.now();
            let mut buffer = [0; 2048];
            match self.reader.read(&mut buffer, now) {
                Received::Silence | Received::Closed => {
                    assert!(now.since(start) < Duration::from_secs(5), "nothing came");
                }
                Received::Bytes(n) => return (Received::Bytes(n), buffer[..n].to_vec()),
                other => return (other, Vec::new()),
            }
        }
    }

    /// Reads until these many bytes have come.
    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            match self.next() {
                (Received::Bytes(_), bytes) => all.extend(bytes),
                (other, _) => panic!("{other:?}"),
            }
        }
        all
    }
}

fn frames(count: usize) -> Vec<u8> {
    let mut writer = Writer::new(191, None);
    let mut out = Vec::new();
    for _ in 0..count {
        writer.write(
            &MavMessage::HEARTBEAT(HEARTBEAT_DATA::DEFAULT),
            MonoTime::ZERO,
        );
    }
    writer.drain(&mut out);
    out
}

fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

#[test]
fn a_serial_port_reads_and_writes_at_once() {
    let (mut far, near) = TTYPort::pair().unwrap();
    let device = near.name().unwrap();
    // The pair's own handle is exclusive.
    drop(near);
    let mut link = Ends::new(&format!("serial:{device}:921600"));
    link.reader.open().unwrap();
    let sent = frames(3);
    assert_eq!(link.writer.write(&sent), Sent::All);
    far.set_timeout(Duration::from_secs(2)).unwrap();
    let mut got = vec![0; sent.len()];
    far.read_exact(&mut got).unwrap();
    assert_eq!(got, sent);
    // Every byte value comes through: the line is raw.
    let all: Vec<u8> = (0..=255).collect();
    far.write_all(&all).unwrap();
    assert_eq!(link.bytes(256), all);
    // The reader waits in another thread, and the writer does not wait for it.
    let Ends {
        mut reader,
        mut writer,
        clock,
    } = link;
    let waiting = std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || reader.read(&mut [0; 2048], clock.now()))
        .unwrap();
    assert_eq!(writer.write(&sent), Sent::All);
    far.read_exact(&mut got).unwrap();
    assert!(matches!(waiting.join().unwrap(), Received::Silence));
}

#[test]
fn a_serial_port_that_goes_away_is_lost_and_looked_for() {
    let (far, near) = TTYPort::pair().unwrap();
    let device = near.name().unwrap();
    drop(near);
    let mut link = Ends::new(&format!("serial:{device}:57600"));
    assert!(matches!(link.next().0, Received::Opened));
    drop(far);
    assert!(matches!(link.next().0, Received::Lost(_)));
    let (received, _) = link.next();
    let Received::CannotOpen(error) = received else {
        panic!("{received:?}")
    };
    assert!(error.to_string().contains(&device), "{error}");
    assert_eq!(link.writer.write(&frames(1)), Sent::Closed);
    assert_eq!(link.reader.counts().lost, 1);
}

#[test]
fn a_wrong_serial_path_lists_the_ports_and_is_reported_once() {
    let mut link = Ends::new("serial:/dev/ttyNONE7:57600");
    let error = link.reader.open().unwrap_err().to_string();
    for part in [
        "serial:/dev/ttyNONE7:57600",
        "no serial port /dev/ttyNONE7",
        "found",
    ] {
        assert!(error.contains(part), "{part} in: {error}");
    }
    assert!(matches!(link.next().0, Received::CannotOpen(_)));
    let (mut closed, mut now) = (0, link.clock.now());
    for _ in 0..40 {
        now = now.after(Duration::from_millis(250));
        assert!(matches!(
            link.reader.read(&mut [0; 64], now),
            Received::Closed
        ));
        closed += 1;
    }
    // 10 s: tried again after 0.2, 0.4, 0.8, 1.6, 3.2 and 5 s, and not forty times.
    let tries = link.reader.counts().refused;
    assert!((4..=7).contains(&tries), "{tries} of {closed}");
}

#[test]
fn a_forbidden_serial_port_names_the_group() {
    let address: LinkAddress = "serial:/dev/ttyS9:57600".parse().unwrap();
    let denied = serialport::Error::new(
        serialport::ErrorKind::Io(ErrorKind::PermissionDenied),
        "Permission denied",
    );
    let text = pipe::serial_error(&address, "/dev/ttyS9", denied).to_string();
    for part in ["serial:/dev/ttyS9:57600", "dialout", "usermod"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn udpin_has_no_peer_until_something_comes_and_follows_a_restart() {
    let port = free_udp_port();
    let mut link = Ends::new(&format!("udpin:127.0.0.1:{port}"));
    assert!(matches!(link.next().0, Received::Opened));
    let sent = frames(2);
    assert_eq!(link.writer.write(&sent), Sent::NoPeer);
    assert_eq!(link.writer.counts().without_peer, sent.len() as u64);

    let first = UdpSocket::bind("127.0.0.1:0").unwrap();
    first
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    first.send_to(b"hello", ("127.0.0.1", port)).unwrap();
    assert_eq!(link.bytes(5), b"hello");
    assert_eq!(link.writer.write(&sent), Sent::All);
    // A frame a datagram.
    let mut buffer = [0; 2048];
    let (len, from) = first.recv_from(&mut buffer).unwrap();
    assert_eq!((len, from.port()), (sent.len() / 2, port));

    // Somebody else calls while the first is heard: listened to, and not answered.
    let second = UdpSocket::bind("127.0.0.1:0").unwrap();
    second
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    second.send_to(b"it's me", ("127.0.0.1", port)).unwrap();
    assert_eq!(link.bytes(7), b"it's me");
    link.writer.write(&sent);
    assert!(second.recv_from(&mut buffer).is_err());
    // The first has been silent for a second: it started again as the second.
    link.clock = SystemClock::start();
    let later = MonoTime::from_secs_f64(100.0);
    second.send_to(b"still me", ("127.0.0.1", port)).unwrap();
    assert!(matches!(
        link.reader.read(&mut buffer, later),
        Received::Bytes(8)
    ));
    assert_eq!(link.writer.write(&sent), Sent::All);
    assert!(second.recv_from(&mut buffer).is_ok());
}

#[test]
fn udpout_calls_first_and_does_not_mind_a_deaf_peer() {
    let port = free_udp_port();
    let mut link = Ends::new(&format!("udpout:127.0.0.1:{port}"));
    assert!(matches!(link.next().0, Received::Opened));
    // Nobody there: the refusal comes back with a later call, and is silence.
    for _ in 0..3 {
        link.writer.write(&frames(1));
        let now = link.clock.now();
        assert!(matches!(
            link.reader.read(&mut [0; 64], now),
            Received::Silence
        ));
    }
    let peer = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    while link.writer.write(&frames(1)) != Sent::All {}
    let mut buffer = [0; 2048];
    let (_, from) = peer.recv_from(&mut buffer).unwrap();
    peer.send_to(b"answer", from).unwrap();
    assert_eq!(link.bytes(6), b"answer");
}

#[test]
fn tcp_is_opened_again_when_the_other_side_starts_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut link = Ends::new(&format!("tcp:127.0.0.1:{port}"));
    assert!(matches!(link.next().0, Received::Opened));
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(b"first").unwrap();
    assert_eq!(link.bytes(5), b"first");
    drop(far);
    assert!(matches!(link.next().0, Received::Lost(_)));
    assert_eq!(link.writer.write(&frames(1)), Sent::Closed);
    assert!(matches!(link.next().0, Received::Opened));
    let (mut far, _) = listener.accept().unwrap();
    let sent = frames(4);
    assert_eq!(link.writer.write(&sent), Sent::All);
    let mut got = vec![0; sent.len()];
    far.read_exact(&mut got).unwrap();
    assert_eq!(got, sent);
    far.write_all(b"second").unwrap();
    assert_eq!(link.bytes(6), b"second");
    let counts = link.reader.counts();
    assert_eq!((counts.opened, counts.lost, counts.bytes), (2, 1, 11));
}

#[test]
fn the_newest_handle_reaches_a_writer_that_was_silent_through_many_losses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut link = Ends::new(&format!("tcp:127.0.0.1:{port}"));
    for _ in 0..20 {
        link.reader.open().unwrap();
        let (far, _) = listener.accept().unwrap();
        drop(far);
        assert!(matches!(link.next().0, Received::Lost(_)));
    }
    assert_eq!(link.writer.write(&frames(1)), Sent::Closed);
    link.reader.open().unwrap();
    let (mut far, _) = listener.accept().unwrap();
    let sent = frames(2);
    assert_eq!(link.writer.write(&sent), Sent::All);
    let mut got = vec![0; sent.len()];
    far.read_exact(&mut got).unwrap();
    assert_eq!(got, sent);
}

#[test]
fn tcp_without_anybody_there_says_what_to_do() {
    let port = free_udp_port();
    let mut link = Ends::new(&format!("tcp:127.0.0.1:{port}"));
    let error = link.reader.open().unwrap_err().to_string();
    for part in [
        &format!("tcp:127.0.0.1:{port}"),
        "refused",
        "start the autopilot",
    ] {
        assert!(error.contains(part), "{part} in: {error}");
    }
}

#[test]
fn two_listeners_on_one_port_are_told_apart() {
    let port = free_udp_port();
    let _first = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let mut link = Ends::new(&format!("udpin:127.0.0.1:{port}"));
    let error = link.reader.open().unwrap_err().to_string();
    assert!(error.contains("another program listens there"), "{error}");
}

fn counts(bytes: u64, frames: u64) -> LinkCounts {
    LinkCounts {
        bytes,
        frames,
        ..LinkCounts::default()
    }
}

#[rstest]
#[case::nothing(counts(100, 1), false, Some(Complaint::Silent))]
#[case::noise(counts(5000, 1), false, Some(Complaint::NoMavlink))]
#[case::a_little_noise(counts(120, 1), false, None)]
#[case::others(counts(5000, 40), false, Some(Complaint::NoAutopilot))]
#[case::well(counts(5000, 40), true, None)]
fn an_odd_link_is_complained_of_once(
    #[case] now: LinkCounts,
    #[case] has_autopilot: bool,
    #[case] complaint: Option<Complaint>,
) {
    let at = MonoTime::from_secs_f64;
    let mut listener = Listener::default();
    assert_eq!(listener.check(&now, has_autopilot, at(1.0)), None);
    listener.opened(&counts(100, 1), at(10.0));
    assert_eq!(listener.check(&now, has_autopilot, at(14.0)), None);
    assert_eq!(listener.check(&now, has_autopilot, at(15.5)), complaint);
    assert_eq!(listener.check(&now, has_autopilot, at(16.0)), None);
    // Opened again, it may be said again.
    listener.opened(&counts(100, 1), at(20.0));
    assert_eq!(listener.check(&now, has_autopilot, at(26.0)), complaint);
}

#[test]
fn noise_at_the_wrong_speed_is_told_from_silence() {
    let mut parser = Parser::new(None);
    let mut listener = Listener::default();
    listener.opened(parser.counts(), MonoTime::ZERO);
    let mut byte = 7u8;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        byte = byte.wrapping_mul(29).wrapping_add(17);
        byte
    })
    .take(2000)
    .collect();
    assert!(parser.fill(&noise).is_empty());
    assert!(parser.next_frame(MonoTime::ZERO).is_none());
    let complaint = listener.check(parser.counts(), false, MonoTime::from_secs_f64(6.0));
    assert_eq!(complaint, Some(Complaint::NoMavlink));
}
