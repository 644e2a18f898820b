//! What the operating system and the CPU give, and may refuse: files, memory, threads, processes.
//!
//! Nothing here knows what is computed. [`file`](mod@file) alone opens files for reading.

pub mod allowance;
pub mod cpu;
pub mod file;
pub mod memory;
pub mod new_folder;
pub mod process;
pub mod threads;
pub mod whole_file;
