//! The command line as its users meet it: exit code, standard output and standard error of the real program.

mod help;
mod mistakes;
mod pages;
mod program;
