//! A proxy as `HTTP_PROXY` and `HTTPS_PROXY` name it: RFC 9110, section 9.3.6, and RFC 9112, section 3.2.2.
//!
//! It reaches the hosts that the test names, wherever those really are, so that a registry on this machine is
//! `registry.example.com` to the client.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::headers::{invalid, read_head};
use super::listener::{Listener, prepare};

/// A running proxy. Dropping it closes its connections.
#[derive(Debug)]
pub struct ForwardProxy {
    listener: Listener,
    asked: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts to reach `hosts`, each `host:port` as the client names it; all others are answered with 502.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub fn start(hosts: BTreeMap<String, SocketAddr>) -> io::Result<Self> {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let listener = Listener::start(move |client| serve(client, &hosts, &log))?;
        Ok(Self { listener, asked })
    }

    /// The proxy's URL, as the variables have it.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// What it was asked for so far, in order: `CONNECT host:port`, or a method and a URL.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves one connection: a tunnel, or requests that are passed on until either side closes.
fn serve(
    mut client: &TcpStream,
    hosts: &BTreeMap<String, SocketAddr>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let Some((start_line, headers)) = read_head(&mut reader)? else { return Ok(()) };
    let mut words = start_line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(invalid("a request line without a target"));
    };
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {target}"));
    let (host, path) = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash)),
        None => (target, ""),
    };
    let name = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let Some(server) = hosts.get(&name) else {
        return client
            .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let server = TcpStream::connect(server)?;
    prepare(&server)?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
            head += &format!("{name}: {value}\r\n");
        }
        // One request a connection: the next one may be for another host.
        head += "Connection: close\r\n\r\n";
        (&server).write_all(head.as_bytes())?;
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            // Whichever side ends first ends both; the other's error is the same end seen from there.
            drop(io::copy(&mut reader, &mut &server));
            drop(server.shutdown(Shutdown::Write));
        });
        drop(io::copy(&mut &server, &mut client));
        client.shutdown(Shutdown::Both)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client::exchange;
    use crate::http::server::{Response, Server};

    #[test]
    fn reaches_the_hosts_that_it_knows() {
        let server = Server::start(|request| {
            let host = request.headers.find("host")?.to_owned();
            Some(Response::new(200).with_content("text/plain", format!("{host} {}", request.path)))
        });
        let server = server.expect("a server");
        let hosts = BTreeMap::from([("a.example:80".to_owned(), server.address())]);
        let proxy = ForwardProxy::start(hosts).expect("a proxy");
        let address = proxy.listener.address();
        let response = exchange(address, "GET", "http://a.example/x", &[], &[]).expect("an answer");
        assert_eq!((response.status, response.text()), (200, format!("{address} /x")));
        let response = exchange(address, "GET", "http://b.example/x", &[], &[]).expect("an answer");
        assert_eq!(response.status, 502);
        assert_eq!(proxy.asked(), ["GET http://a.example/x", "GET http://b.example/x"]);
    }
}
