//! Some functions of the C library, in a few bytes.
//!
//! A static program takes from glibc what its start and its threads refer to, and each of these brings tens of
//! kilobytes or more that no image should carry: formatted input, wide output, the dynamic loader's search,
//! messages in other languages. With these in their place the linker leaves the rest out; `cargo xtask build-init`
//! tells the size.

#![expect(unsafe_code, reason = "the C library and the standard library find the functions by their names")]

use std::ffi::{c_char, c_int, c_uint, c_void};

/// Tells where a thread's stack lies: it does not. The standard library asks so that it can name a stack overflow,
/// and leaves it to the system's signal otherwise.
// SAFETY: the name and the parameters are glibc's (pthread.h); after an error the attributes are not looked at.
#[unsafe(no_mangle)]
extern "C" fn pthread_getattr_np(_: libc::pthread_t, _: *mut libc::pthread_attr_t) -> c_int {
    libc::ENOSYS
}

/// Writes a complaint of the C library: not at all.
// SAFETY: the name and the parameters up to the variable ones, which the caller takes away again, are glibc's
// (stdio-common/fxprintf.c); it returns how many characters were written.
#[unsafe(no_mangle)]
extern "C" fn __fxprintf(_: *mut c_void, _: *const c_char) -> c_int {
    0
}

/// Looks for a function in the libraries that are loaded: there are none. The standard library asks for newer
/// functions of the system so, and does without them.
// SAFETY: the name and the parameters are POSIX's, and so is null for a name that is not found.
#[unsafe(no_mangle)]
extern "C" fn dlsym(_: *mut c_void, _: *const c_char) -> *mut c_void {
    std::ptr::null_mut()
}

/// Ends the program; the C library calls it when it finds itself in a state that it holds impossible.
// SAFETY: the name and the parameters are glibc's (assert.h); it never returns, as there.
#[unsafe(no_mangle)]
extern "C" fn __assert_fail(_: *const c_char, _: *const c_char, _: c_uint, _: *const c_char) -> ! {
    std::process::abort()
}

/// Translates a message of the C library: as it is.
// SAFETY: the name and the parameters are glibc's (intl/dcgettext.c), and so is what it returns without a catalogue.
#[unsafe(no_mangle)]
extern "C" fn __dcgettext(_: *const c_char, message: *const c_char, _: c_int) -> *const c_char {
    message
}
