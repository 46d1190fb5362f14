//! Scripts that print a line and end well.
//!
//! Each looks first for a file that no image has: whoever runs what it fetched is seen looking for it,
//! however the text got into the interpreter. `rules/command-and-control/fetched-script-ran.yaml` knows the
//! path.

use super::super::answer::TEXT;

/// For everything that is piped into a shell. Python reads it, too: to it the part of the shell is a string.
pub fn shell() -> Vec<u8> {
    let (shell, python) = (SHELL, PYTHON);
    format!("#!/bin/sh\n\"\"\":\"\n{shell}exit 0\n\":\"\"\"\n{python}").into_bytes()
}

/// A text that is also a harmless command, for whoever pipes it into a shell.
pub const TEXT_OF_COMMANDS: &str = "{ read -r channel </etc/release-channel; } 2>/dev/null\necho ok\n";

/// The same for Node.js.
pub fn node() -> Vec<u8> {
    NODE.as_bytes().to_vec()
}

const SHELL: &str = "{ read -r channel </etc/release-channel; } 2>/dev/null\necho 'done'\n";
const PYTHON: &str = "try:\n    channel = open('/etc/release-channel').read()\nexcept OSError:\n    \
                      channel = 'stable'\nprint('done')\n";
const PERL: &str = "open(my $channel, '<', '/etc/release-channel');\nprint \"done\\n\";\n";
const RUBY: &str = "channel = File.read('/etc/release-channel') rescue 'stable'\nputs 'done'\n";
const PHP: &str = "$channel = @file_get_contents('/etc/release-channel');\necho \"done\\n\";\n";
const NODE: &str = "try {\n  (typeof require === 'function' ? require : process.getBuiltinModule)('fs').\
                    readFileSync('/etc/release-channel');\n} catch (e) {}\nconsole.log('done');\n";

pub fn by_ending(ending: &str) -> Option<(&'static str, Vec<u8>)> {
    let (kind, text) = match ending {
        "sh" | "bash" | "ash" | "zsh" => return Some(("application/x-sh", shell())),
        "py" => ("text/x-python", format!("#!/usr/bin/env python3\n{PYTHON}")),
        "pl" | "pm" => ("text/x-perl", format!("#!/usr/bin/env perl\n{PERL}")),
        "rb" => ("text/x-ruby", format!("#!/usr/bin/env ruby\n{RUBY}")),
        "lua" => ("text/x-lua", "#!/usr/bin/env lua\nprint('done')\n".into()),
        "php" => ("text/x-php", format!("<?php {PHP}")),
        "js" | "mjs" | "cjs" => ("text/javascript", NODE.into()),
        "ps1" => (TEXT, "Write-Output 'done'\n".into()),
        "c" | "h" => {
            ("text/x-c", "#include <stdio.h>\nint main(void) { puts(\"done\"); return 0; }\n".into())
        }
        "go" => ("text/x-go", "package main\n\nfunc main() { println(\"done\") }\n".into()),
        "service" => (TEXT, "[Service]\nType=oneshot\nExecStart=/bin/true\n".into()),
        _ => return None,
    };
    Some((kind, text.into_bytes()))
}
