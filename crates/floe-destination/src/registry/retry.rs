//! When a failed request is tried again, and after how long.
//!
//! Tried again are 408, 429 and 5xx answers and broken connections. Waits grow twofold with full jitter, so that many
//! clients do not come back at once (AWS Architecture Blog, "Exponential Backoff And Jitter"); `Retry-After` wins.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Longest `Retry-After` that is honoured; a longer one ends the attempts, since nobody waits that long unasked.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// How often and how patiently requests are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often a request is sent in all, the first time included; at least 1.
    pub attempts: u32,
    /// The upper bound of the first wait; each further bound is twice the one before.
    pub first_wait: Duration,
    /// The upper bound of every wait.
    pub longest_wait: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts within some 15 seconds: a registry's restart is survived, a dead one is not waited for.
    fn default() -> Self {
        Self { attempts: 6, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(10) }
    }
}

impl RetryPolicy {
    /// How long to wait after this many failures; `None` when there is no attempt left or the server asks for more
    /// patience than floe has.
    pub(super) fn wait(&self, failures: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if failures >= self.attempts.max(1) {
            return None;
        }
        if let Some(asked) = retry_after {
            return (asked <= LONGEST_RETRY_AFTER).then(|| asked + self.jitter(failures.min(1)));
        }
        Some(self.jitter(failures))
    }

    /// A random wait between nothing and the bound for this many failures.
    fn jitter(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let bound = self.first_wait.saturating_mul(1 << doublings).min(self.longest_wait);
        // Each `RandomState` is keyed at random, which is all the randomness that jitter needs.
        let random = RandomState::new().build_hasher().finish() % 1_000;
        bound.mul_f64(f64::from(u32::try_from(random).unwrap_or(0)) / 1_000.0)
    }
}

/// Whether an answer may be another one next time.
pub(super) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 507..=599)
}

/// The wait that a server asks for, in seconds or as a date (RFC 9110, section 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => seconds_until(text, SystemTime::now()),
    }
}

/// Reads `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, section 5.6.7); a date that has passed is no wait.
fn seconds_until(text: &str, now: SystemTime) -> Option<Duration> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.strip_suffix(" GMT")?.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month_name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == month_name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    // Days since 1970 in the Gregorian calendar, with years that begin in March.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1;
    let since_epoch = (days.checked_sub(719_468)?) * 86_400 + hours * 3_600 + minutes * 60 + seconds;
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(since_epoch);
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let policy = RetryPolicy::default();
        for failures in 1..6 {
            let bound = (policy.first_wait * (1 << (failures - 1))).min(policy.longest_wait);
            assert!(policy.wait(failures, None).expect("attempts are left") <= bound);
        }
        assert_eq!(policy.wait(6, None), None);
        let asked = policy.wait(1, Some(Duration::from_secs(7))).expect("attempts are left");
        assert!(asked >= Duration::from_secs(7) && asked <= Duration::from_secs(8));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(61))), None);
    }

    #[test]
    fn reads_retry_after_dates() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(seconds_until(text, now), Some(Duration::from_secs(7)));
        assert_eq!(seconds_until(text, now + Duration::from_secs(99)), Some(Duration::ZERO));
        for text in ["", "soon", "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT"] {
            assert_eq!(seconds_until(text, now), None, "{text}");
        }
    }

    #[test]
    fn knows_passing_answers() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_passing(StatusCode::from_u16(status).expect("a status")), "{status}");
        }
        for status in [200, 400, 401, 403, 404, 416, 501, 505] {
            assert!(!is_passing(StatusCode::from_u16(status).expect("a status")), "{status}");
        }
    }
}
