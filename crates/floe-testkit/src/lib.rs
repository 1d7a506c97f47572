//! floe-testkit
