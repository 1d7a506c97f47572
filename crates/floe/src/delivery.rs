//! Delivery: an image that is made appears at its destinations, on several hosts at once.

use std::collections::BTreeMap;
use std::thread::ScopedJoinHandle;

use floe_destination::{Delivered, Destination, ImageName, Manifests};
use floe_image::BlobSource;

use crate::failure::Outcome;
use crate::terminal::Terminal;
use crate::transports::explain_delivery;

/// Destinations that are finished one after the other, each with its place in the whole order.
type Queue = Vec<(usize, Box<dyn Destination>)>;

/// Makes an image appear at each destination; `blobs` yields what one lacks. Of several failures that of the first
/// destination is returned, and the user is told who has the image all the same.
pub(crate) fn finish_all(
    destinations: Vec<Box<dyn Destination>>,
    manifests: &Manifests,
    name: &ImageName,
    blobs: &dyn BlobSource,
    terminal: &Terminal,
) -> Outcome<Vec<Delivered>> {
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    for (index, destination) in destinations.into_iter().enumerate() {
        queues.entry(destination.queue().to_owned()).or_default().push((index, destination));
    }
    let deliver = |queue: Queue| {
        let mut outcomes = Vec::with_capacity(queue.len());
        for (index, destination) in queue {
            let outcome = destination.finish(manifests, Some(name), blobs).map_err(explain_delivery);
            let failed = outcome.is_err();
            outcomes.push((index, outcome));
            // Those behind it count on what it was to bring.
            if failed {
                break;
            }
        }
        outcomes
    };
    let mut outcomes: Vec<_> = std::thread::scope(|scope| {
        let deliver = &deliver;
        let threads: Vec<_> = queues.into_values().map(|queue| scope.spawn(move || deliver(queue))).collect();
        let join = |thread: ScopedJoinHandle<'_, Vec<_>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().flat_map(join).collect()
    });
    outcomes.sort_by_key(|(index, _)| *index);
    if outcomes.iter().any(|(_, outcome)| outcome.is_err()) {
        for delivered in outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok()) {
            terminal.note(format!("{} has the image", delivered.location));
        }
    }
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}
