//! Opening the record, which an earlier floe may have written in another form.

use floe_destination::{Record, RecordError};

use super::version_1;
use crate::failure::{Failure, Outcome};
use crate::places::Places;

/// Opens the record. One of the first form is written again in today's, once.
pub(crate) fn open(places: &Places) -> Outcome<Record> {
    let record = Record::new(&places.images());
    if !record.is_current().map_err(explain)? {
        let locked = record.lock()?;
        // Another run may have done it while this one waited.
        if !locked.is_current().map_err(explain)? {
            version_1::migrate(places, &locked)?;
        }
    }
    Ok(record)
}

fn explain(error: RecordError) -> Failure {
    let is_newer = matches!(error, RecordError::Newer { .. });
    let failure = Failure::from(error);
    if is_newer {
        failure.hint("use the later floe that wrote it, or another XDG_DATA_HOME")
    } else {
        failure
    }
}
