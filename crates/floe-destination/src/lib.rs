//! floe-destination
