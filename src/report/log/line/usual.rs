//! The usual values of fields: what has its usual value is left out of a line.

pub fn is_false(flag: &bool) -> bool {
    !*flag
}

pub fn is_true(flag: &bool) -> bool {
    *flag
}

pub fn yes() -> bool {
    true
}

pub fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub fn is_one(count: &u64) -> bool {
    *count == 1
}

pub fn is_plain(permissions: &u16) -> bool {
    *permissions == 0
}

pub fn one() -> u64 {
    1
}
