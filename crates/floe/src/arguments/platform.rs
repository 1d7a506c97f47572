//! The flags that say which images of an index are meant.

use clap::Args;
use floe_image::oci::Platform;

/// Which images of an index are meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PlatformArguments {
    /// Take the whole index, with the images for all platforms
    #[arg(long, conflicts_with = "platform")]
    pub(crate) all: bool,
    /// Take the image for this platform, such as linux/arm64 [default: this machine's]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
}

impl PlatformArguments {
    /// The platform of the image that is wanted: the one named, else this machine's.
    pub(crate) fn wanted(&self) -> Platform {
        self.platform.clone().unwrap_or_else(this_machine)
    }
}

/// The platform of this machine.
pub(crate) fn this_machine() -> Platform {
    let system = format!("{}-linux", std::env::consts::ARCH);
    Platform::from_system(&system).unwrap_or_else(|| Platform::new("linux", std::env::consts::ARCH))
}
