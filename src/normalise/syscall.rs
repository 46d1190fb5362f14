//! Names of system calls by number, from the kernel's own tables (arch/x86/entry/syscalls of Linux 6.17): x86-64,
//! and i386 for the 32-bit entry. Since 424 both have the same numbers for the same calls.

mod common;
mod i386;
mod x86_64;

/// The name of a call, or `None` where the table has none. `compat`: the numbers of i386.
pub(super) fn name(number: u32, compat: bool) -> Option<&'static str> {
    let own = if compat { i386::CALLS } else { x86_64::CALLS };
    let table = if number < COMMON { own } else { common::CALLS };
    let place = table.binary_search_by_key(&number, |entry| entry.0).ok()?;
    Some(table[place].1)
}

/// The first number that means the same call in both tables.
const COMMON: u32 = 424;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_number_names_another_call_in_each_table() {
        assert_eq!(name(165, false), Some("mount"));
        assert_eq!(name(21, true), Some("mount"));
        assert_eq!(name(9999, false), None);
    }

    #[test]
    fn a_new_call_has_one_number_in_both_tables() {
        assert_eq!([name(423, false), name(423, true)], [None, Some("sched_rr_get_interval_time64")]);
        for compat in [false, true] {
            assert_eq!(name(424, compat), Some("pidfd_send_signal"));
            assert_eq!(name(469, compat), Some("file_setattr"));
        }
    }

    #[test]
    fn tables_are_sorted_so_that_a_search_finds_every_entry() {
        for table in [x86_64::CALLS, i386::CALLS] {
            assert!(table.is_sorted_by(|one, next| one.0 < next.0));
            assert!(table.last().is_some_and(|last| last.0 < COMMON));
        }
        assert!(common::CALLS.is_sorted_by(|one, next| one.0 < next.0));
        assert_eq!(common::CALLS[0].0, COMMON);
    }
}
