//! Names to addresses: `/etc/hosts`, then the servers of `/etc/resolv.conf`, without the C library.
//!
//! A static program's C library loads its resolver from the image at run time, and an image has none or another's.
//! Here: A and AAAA over UDP (RFC 1035, section 4), `search` and `ndots` as resolv.conf(5) says. Answers that do not
//! fit a datagram are taken as far as they go, since one address is enough.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long one server is given for one question.
const PATIENCE: Duration = Duration::from_secs(2);

/// The types of records that hold addresses (RFC 1035, section 3.2.2; RFC 3596).
const A: u16 = 1;
const AAAA: u16 = 28;

/// The servers and names that are tried, at most: what resolv.conf(5) allows.
const MOST_SERVERS: usize = 3;
const MOST_SUFFIXES: usize = 6;

/// The longest datagram that a server sends unasked (RFC 1035, section 4.2.1), and then some.
const DATAGRAM: usize = 1500;

/// Every address of a host; the error says in words why there is none.
pub(super) fn addresses(host: &str, deadline: Instant) -> Result<Vec<IpAddr>, String> {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let read = |file: &str| {
        let bytes = std::fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let listed = in_hosts(&read("/etc/hosts"), host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let configuration = Configuration::parse(&read("/etc/resolv.conf"));
    for name in configuration.names(host) {
        for server in &configuration.servers {
            let found = ask(*server, &name, deadline);
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }
    Err(format!("no address for {host}"))
}

/// The addresses that a hosts file gives a name (hosts(5)).
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let address = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let ip = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(ip)
    };
    text.lines().filter_map(address).collect()
}

/// What resolv.conf says.
#[derive(Debug, PartialEq, Eq)]
struct Configuration {
    servers: Vec<SocketAddr>,
    suffixes: Vec<String>,
    /// Names with fewer dots are tried with suffixes first.
    dots: usize,
}

impl Configuration {
    fn parse(text: &str) -> Self {
        let mut configuration = Self { servers: Vec::new(), suffixes: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    configuration.servers.extend(server.map(|ip| SocketAddr::new(ip, 53)));
                }
                Some("search" | "domain") => {
                    configuration.suffixes = words.take(MOST_SUFFIXES).map(str::to_owned).collect();
                }
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    configuration.dots = dots.unwrap_or(configuration.dots);
                }
                _ => {}
            }
        }
        configuration.servers.truncate(MOST_SERVERS);
        configuration
    }

    /// The full names to ask for, in order.
    fn names(&self, host: &str) -> Vec<String> {
        if let Some(absolute) = host.strip_suffix('.') {
            return vec![absolute.to_owned()];
        }
        let with_suffixes =
            self.suffixes.iter().map(|suffix| format!("{host}.{}", suffix.trim_end_matches('.')));
        let alone = std::iter::once(host.to_owned());
        let dots = host.matches('.').count();
        if dots >= self.dots {
            alone.chain(with_suffixes).collect()
        } else {
            with_suffixes.chain(alone).collect()
        }
    }
}

/// Asks one server for both kinds of addresses.
fn ask(server: SocketAddr, name: &str, deadline: Instant) -> Vec<IpAddr> {
    [A, AAAA].into_iter().flat_map(|kind| ask_for(server, name, kind, deadline).unwrap_or_default()).collect()
}

fn ask_for(server: SocketAddr, name: &str, kind: u16, deadline: Instant) -> Option<Vec<IpAddr>> {
    let local: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((local, 0)).ok()?;
    // Connected: datagrams of others are not received.
    socket.connect(server).ok()?;
    let end = deadline.min(Instant::now() + PATIENCE);
    // The port that the system chose tells questions apart, together with the number; guessing both gains nobody
    // more than a wait that ends too early.
    let id = socket.local_addr().ok()?.port().rotate_left(5) ^ kind;
    socket.send(&question(id, name, kind)?).ok()?;
    let mut datagram = [0; DATAGRAM];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(left).filter(|left| !left.is_zero())).ok()?;
        if left.is_zero() {
            return None;
        }
        let count = socket.recv(&mut datagram).ok()?;
        if let Some(found) = answers(&datagram[..count], id, kind) {
            return Some(found);
        }
    }
}

/// A datagram that asks one question, recursion desired; `None` for what is no name.
fn question(id: u16, name: &str, kind: u16) -> Option<Vec<u8>> {
    let mut datagram = Vec::from(id.to_be_bytes());
    datagram.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?;
        datagram.push(length);
        datagram.extend(label.as_bytes());
    }
    datagram.push(0);
    datagram.extend(kind.to_be_bytes());
    datagram.extend([0, 1]);
    Some(datagram)
}

/// The addresses in an answer to question `id`; `None` when it is another datagram.
fn answers(datagram: &[u8], id: u16, kind: u16) -> Option<Vec<IpAddr>> {
    let number = |at: usize| Some(u16::from_be_bytes([*datagram.get(at)?, *datagram.get(at + 1)?]));
    let is_answer = number(2)? & 0x8000 != 0;
    if number(0)? != id || !is_answer {
        return None;
    }
    let mut at = 12;
    for _ in 0..number(4)? {
        at = after_name(datagram, at)? + 4;
    }
    let mut found = Vec::new();
    for _ in 0..number(6)? {
        let record = after_name(datagram, at)?;
        let length = usize::from(number(record + 8)?);
        let data = datagram.get(record + 10..record + 10 + length)?;
        // Records of other kinds are the aliases on the way.
        if number(record)? == kind {
            let ip = match kind {
                A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
                _ => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
            };
            found.extend(ip);
        }
        at = record + 10 + length;
    }
    Some(found)
}

/// Where a name that begins at `at` ends: behind its last label, or behind a pointer (RFC 1035, section 4.1.4).
fn after_name(datagram: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *datagram.get(at)? {
            0 => return Some(at + 1),
            pointer if pointer >= 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_machines_files() {
        let hosts = "127.0.0.1 localhost # local\n::1 localhost\n10.0.0.5\tDB db.internal\nbroken\n";
        assert_eq!(in_hosts(hosts, "db"), ["10.0.0.5".parse::<IpAddr>().expect("an address")]);
        assert_eq!(in_hosts(hosts, "localhost").len(), 2);
        assert!(in_hosts(hosts, "local").is_empty());
        let text = "# pods\nsearch a.svc svc.\nnameserver 10.96.0.10\nnameserver x\noptions edns0 ndots:5\n";
        let configuration = Configuration::parse(text);
        assert_eq!(configuration.servers, ["10.96.0.10:53".parse().expect("an address")]);
        assert_eq!(configuration.names("db"), ["db.a.svc", "db.svc", "db"]);
        assert_eq!(
            configuration.names("a.b.c.d.e.f"),
            ["a.b.c.d.e.f", "a.b.c.d.e.f.a.svc", "a.b.c.d.e.f.svc"]
        );
        assert_eq!(configuration.names("db."), ["db"]);
        assert!(Configuration::parse("").servers.is_empty());
    }

    #[test]
    fn asks_a_server() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = server.local_addr().expect("an address");
        let answering = std::thread::spawn(move || {
            for _ in 0..2 {
                let mut question = [0; 512];
                let (count, asker) = server.recv_from(&mut question).expect("a question");
                let question = &question[..count];
                let mut answer = question.to_vec();
                // An answer with an alias before the address.
                answer[2] |= 0x80;
                answer[7] = 2;
                answer.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
                let kind = question[count - 3];
                answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 9, 0]);
                let data: &[u8] = if kind == 1 { &[10, 0, 0, 7] } else { &[0xfd; 16] };
                answer.push(u8::try_from(data.len()).expect("short"));
                answer.extend(data);
                // A stranger's answer is passed over.
                server.send_to(&[0; 12], asker).expect("sent");
                server.send_to(&answer, asker).expect("sent");
            }
        });
        let found = ask(address, "db.svc", Instant::now() + Duration::from_secs(30));
        answering.join().expect("a server");
        assert_eq!(found, [IpAddr::from([10, 0, 0, 7]), IpAddr::from([0xfd_u8; 16])]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(datagram in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            let id = u16::from_be_bytes([datagram.first().copied().unwrap_or(0), datagram.get(1).copied().unwrap_or(0)]);
            drop(answers(&datagram, id, A));
        }
    }
}
