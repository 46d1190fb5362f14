//! What goes through io_uring.

use lazaret::record::Body;

use crate::stage::{is_live, watch};

#[test]
fn what_goes_through_io_uring_is_seen_also_from_a_polling_thread() {
    for act in ["uring", "uring 1"] {
        if !is_live() {
            return;
        }
        let seen = watch(&act.split(' ').collect::<Vec<_>>());
        seen.assert_whole();
        let mut lines = seen.lines();
        let is_setup = |line: &String| line.starts_with("kernel 425 ");
        assert!(lines.iter().any(is_setup), "{lines:#?}");
        // Later rings count with the first; when the count leaves is not certain.
        lines.retain(|line| !is_setup(line) && !line.starts_with("flow "));
        let sources = seen.records.iter().filter_map(|record| match &record.body {
            Body::Source { local, .. } => Some(u16::from_be_bytes([local[2], local[3]])),
            _ => None,
        });
        let [port] = sources.collect::<Vec<_>>()[..] else { panic!("{lines:#?}") };
        lines.iter_mut().for_each(|line| *line = line.replace(&format!("0.0.0.0:{port}"), "0.0.0.0:PORT"));
        let expected = [
            "open_failed link@$ 0o100000 = -115",
            "open $/target 0o100000",
            "open $/sub 0o300000",
            "open_failed inner@$/sub 0o100000 = -115",
            "open $/sub/inner 0o100000",
            "socket 2.1.0",
            "connect 2.1.6 127.0.0.1:1 = -115",
            "settled 2.1.6 127.0.0.1:0 127.0.0.1:1 error 111",
            "socket 2.2.0",
            "ring 9 7  ",
            "send 2.2.17 127.0.0.1:53 = -115",
            "source 2.2.17 0.0.0.0:PORT -",
            "ring 37 0 made ",
            "ring 35 0 made moved",
            "exit 0x0",
        ];
        assert_eq!(lines, expected);
    }
}

#[test]
fn what_a_ring_does_with_files_of_its_own_table_is_seen_with_path_and_address() {
    if !is_live() {
        return;
    }
    let seen = watch(&["uring_tables"]);
    seen.assert_whole();
    let lines = seen.lines();
    let port_of = |start: &str| {
        let line = lines.iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{lines:#?}"));
        line.split([':', ' ']).nth(3).unwrap().to_owned()
    };
    let (server, client) = (port_of("bind "), port_of("accept "));
    let steady = |line: &String| line.replace(&server, "SERVER").replace(&client, "CLIENT");
    // What the ring still holds, a kernel thread closes, perhaps after the last task is gone.
    let dull = ["kernel ", "socket 2.1.0", "exit", "flow "];
    let told: Vec<_> = lines.iter().map(steady).collect();
    let mut told: Vec<_> = told
        .iter()
        .map(String::as_str)
        .filter(|line| !dull.iter().any(|dull| line.starts_with(dull)))
        .collect();
    // Requests of one submission end in any order.
    let mut expected = [
        "open_failed sub/inner@$ 0o100002 = -115",
        "open $/sub/inner 0o100002",
        "ring 2 -1  ",
        "ring 39 0 target second",
        "ring 38 0 /etc points",
        "ring 36 0 second ",
        "open $/target 0o100002",
        "ring 41 -1 $/sub/inner ",
        "ring 55 4 $/target ",
        "ring 30 4 $/target ",
        "ring 45 0  ",
        "socket 2.1.6",
        "ring 56 7  ",
        "ring 57 7  ",
        "bind 2.1.6 127.0.0.1:SERVER = 0",
        "listen 2.1.6 127.0.0.1:SERVER = 0",
        "connect 2.1.6 127.0.0.1:SERVER = -115",
        "ring 13 7  ",
        "accept 2.1.6 127.0.0.1:CLIENT",
        "source 2.1.6 127.0.0.1:CLIENT 127.0.0.1:SERVER",
        "settled 2.1.6 127.0.0.1:CLIENT 127.0.0.1:SERVER",
        "ring 46 8 TCP ",
    ];
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected, "{lines:#?}");
}
