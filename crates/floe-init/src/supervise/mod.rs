//! Being the parent of the one program that a container runs, as PID 1 or as any other process.
//!
//! As PID 1 the kernel gives this process every orphan of the container; as another it asks for them
//! (`PR_SET_CHILD_SUBREAPER`). The program gets a process group of its own, in the foreground when there is a terminal,
//! and every signal that arrives here but those about children and faults.

mod child;
mod terminal_group;

pub(crate) use child::{Program, supervise};
