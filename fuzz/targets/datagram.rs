#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lazaret_fuzz::datagram::check(bytes));
